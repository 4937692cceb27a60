// Filling and copying of n values, which may be none at no address: memset and memcpy do not allow that.
#pragma once
#include "simd.hpp"

namespace topodiff {
namespace {

template <class T>
TOPODIFF_INLINE void fill_zero(T* out, i64 n) {
  if (n) __builtin_memset(out, 0, n * sizeof(T));
}

template <class T>
TOPODIFF_INLINE void copy_values(T* out, const T* from, i64 n) {
  if (n) __builtin_memcpy(out, from, n * sizeof(T));
}

}  // namespace
}  // namespace topodiff
