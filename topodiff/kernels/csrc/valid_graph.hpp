// Whether the incidences of vertices and edges are what kernels trust them to be.
#pragma once
#include "simd.hpp"

namespace topodiff {
namespace {

template <class I>
bool all_below(i64 bound, const I* index, i64 count) {
  using U = typename UnsignedOf<I>::type;
  bool good = true;
  for (i64 i = 0; i < count; ++i) good &= U(index[i]) < U(bound);
  return good;
}

// Entries order[ptr[v]..ptr[v + 1]] belong to vertex v.
template <class I>
bool valid_graph(i64 n, i64 nnz, const void* face, const void* ptr, const void* order) {
  const I* p = static_cast<const I*>(ptr);
  bool good = p[0] == 0 && p[n] == nnz;
  for (i64 v = 0; v < n; ++v) good &= p[v] <= p[v + 1];
  return good && all_below(n, static_cast<const I*>(face), nnz) && all_below(nnz, static_cast<const I*>(order), nnz);
}

}  // namespace
}  // namespace topodiff
