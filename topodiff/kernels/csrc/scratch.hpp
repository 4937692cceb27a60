// Memory of a kernel's own.
#pragma once
#include <cstdlib>

#include "fill.hpp"

namespace topodiff {
namespace {

template <class T>
struct Scratch {
  T* p;
  explicit Scratch(i64 n) : p(static_cast<T*>(std::aligned_alloc(64, (larger(n, 1) * sizeof(T) + 63) / 64 * 64))) {}
  ~Scratch() { std::free(p); }
  Scratch(const Scratch&) = delete;
  operator T*() const { return p; }
  void zero(i64 n) { fill_zero(p, n); }
};

}  // namespace
}  // namespace topodiff
