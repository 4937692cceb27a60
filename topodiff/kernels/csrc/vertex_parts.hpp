// Vertices in parts: sums over a part, and the order of parts, do not depend on the number of threads.
#pragma once
#include "gemm.hpp"
#include "linear.hpp"
#include "scratch.hpp"
#include "split.hpp"

namespace topodiff {
namespace {

constexpr i64 kPartVertices = 256, kBlockVertices = 32;  // states of a block stay in the first cache

TOPODIFF_INLINE i64 vertex_parts(i64 n) { return (n + kPartVertices - 1) / kPartVertices; }

TOPODIFF_INLINE int linear_threads(const LinearArgs& a, i64 values) {
  return int(larger(1, smaller(a.threads, values / kValuesPerThread)));
}

// f(part, first vertex, last vertex) for every part, in parallel.
template <class F>
void for_vertex_parts(const LinearArgs& a, F f) {
  parallel(linear_threads(a, a.n * a.dim * a.channels), vertex_parts(a.n), [&](i64 part, i64) {
    f(part, part * kPartVertices, smaller(a.n, (part + 1) * kPartVertices));
  });
}

// f(first vertex, number of vertices) for blocks of a part.
template <class F>
TOPODIFF_INLINE void for_vertex_blocks(i64 first, i64 last, F f) {
  for (; first < last; first += kBlockVertices) f(first, smaller(kBlockVertices, last - first));
}

// The state of some vertices after dropout, in `room` where it is not x itself.
template <class T>
const T* dropped_state(const LinearArgs& a, i64 first, i64 count, T* room) {
  const i64 size = a.dim * a.channels;
  const T* x = static_cast<const T*>(a.x) + first * size;
  if (a.drop.threshold == 0) return x;
  drop_range(a.drop, first * size, count * size, x, room);
  return room;
}

// out = sum over parts of their values, in order.
template <class T>
void add_parts(const T* values, i64 parts, i64 count, void* out) {
  T* total = static_cast<T*>(out);
  fill_zero(total, count);
  for (i64 part = 0; part < parts; ++part)
    for (i64 i = 0; i < count; ++i) total[i] += values[part * count + i];
}

}  // namespace
}  // namespace topodiff
