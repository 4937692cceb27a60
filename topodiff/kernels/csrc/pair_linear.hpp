// act(W_1 drop(x)_v + W_2 drop(x)_u) for each incidence of a vertex v with an edge {v, u}: one product for each vertex,
// one addition for each incidence, in one pass each way.
#pragma once
#include "coface_kernels.hpp"  // with_activation
#include "valid_graph.hpp"
#include "vertex_parts.hpp"

namespace topodiff {
namespace {

// What W acts on: the state, or its sum over the stalk.
template <class T>
const T* pair_input(const LinearArgs& a, i64 first, i64 count, T* room, T* sums) {
  const T* y = dropped_state<T>(a, first, count, room);
  const i64 C = a.channels;
  if (a.width == a.dim * C) return y;
  for (i64 v = 0; v < count; ++v)
    small_pieces<T, kLanes<T>>(0, C, [&](auto piece) {
      using V = typename decltype(piece)::V;
      V sum = {};
      for (i64 k = 0; k < a.dim; ++k) sum += load<V>(y + (v * a.dim + k) * C + piece.at);
      store(sums + v * C + piece.at, sum);
    });
  return sums;
}

// z of the incidences of edge e.
template <class T, class I>
TOPODIFF_INLINE void add_ends(const LinearArgs& a, i64 e, T* z) {
  const I* face = static_cast<const I*>(a.face) + 2 * e;
  const i64 q = a.outputs;
  const T* projected = static_cast<const T*>(a.projected);
  const T *tail = projected + i64(face[0]) * 2 * q, *head = projected + i64(face[1]) * 2 * q;
  for (i64 c = 0; c < q; ++c) {
    z[c] = tail[c] + head[q + c];
    z[q + c] = head[c] + tail[q + c];
  }
}

// f(first edge, edges) on blocks of edges, in parallel.
template <class F>
void for_edges(const LinearArgs& a, F f) {
  constexpr i64 kBlock = 512;
  const i64 edges = a.nnz / 2;
  parallel(linear_threads(a, a.nnz * a.outputs), (edges + kBlock - 1) / kBlock, [&](i64 block, i64) {
    f(block * kBlock, smaller(kBlock, edges - block * kBlock));
  });
}

template <class T, class I>
bool pair_linear(const LinearArgs& a) {
  if (!valid_graph<I>(a.n, a.nnz, a.face, a.ptr, a.order)) return false;
  const i64 q = a.outputs, size = kBlockVertices * a.dim * a.channels;
  Scratch<T> panels(packed_size<T>(a.width, 2 * q));
  pack<T>(panels, a.width, 2 * q, static_cast<const T*>(a.weight), 1, a.width);
  for_vertex_parts(a, [&](i64, i64 from, i64 to) {
    Scratch<T> room(size), sums(size);
    Ahead nothing;
    for_vertex_blocks(from, to, [&](i64 first, i64 count) {
      const T* y = pair_input<T>(a, first, count, room, sums);
      const Target<T> out{static_cast<T*>(a.projected) + first * 2 * q, 2 * q};
      multiply<T>(count, 2 * q, a.width, y, a.width, 1, panels, out, nothing);
    });
  });
  with_activation(a.activation, [&](auto act) {
    for_edges(a, [&](i64 first, i64 count) {
      T* z = static_cast<T*>(a.out) + first * 2 * q;
      for (i64 e = 0; e < count; ++e) add_ends<T, I>(a, first + e, z + e * 2 * q);
      small_pieces<T, kLanes<T>>(0, count * 2 * q, [&](auto piece) {
        using V = typename decltype(piece)::V;
        store(z + piece.at, activation_of<decltype(act)::value, V, T>(load<V>(z + piece.at)));
      });
    });
  });
  return true;
}

// The gradient of z, for every incidence.
template <class T, class I>
void pair_gradient(const LinearArgs& a, T* dz) {
  const i64 q = a.outputs;
  with_activation(a.activation, [&](auto act) {
    for_edges(a, [&](i64 first, i64 count) {
      const T* grad = static_cast<const T*>(a.grad) + first * 2 * q;
      T* z = dz + first * 2 * q;
      for (i64 e = 0; e < count; ++e) add_ends<T, I>(a, first + e, z + e * 2 * q);
      small_pieces<T, kLanes<T>>(0, count * 2 * q, [&](auto piece) {
        using V = typename decltype(piece)::V;
        const V slope = derivative_of<decltype(act)::value, V, T>(load<V>(z + piece.at));
        store(z + piece.at, load<V>(grad + piece.at) * slope);
      });
    });
  });
}

// The gradient of `projected` for some vertices: of their own incidences, and of those at the other ends.
template <class T, class I>
void gather_ends(const LinearArgs& a, i64 first, i64 count, const T* dz, T* out) {
  const I *ptr = static_cast<const I*>(a.ptr), *order = static_cast<const I*>(a.order);
  const i64 q = a.outputs;
  fill_zero(out, count * 2 * q);
  for (i64 v = 0; v < count; ++v, out += 2 * q)
    for (i64 k = ptr[first + v]; k < ptr[first + v + 1]; ++k) {
      const i64 i = order[k];
      const T *own = dz + i * q, *other = dz + (i ^ 1) * q;
      for (i64 c = 0; c < q; ++c) {
        out[c] += own[c];
        out[q + c] += other[c];
      }
    }
}

template <class T, class I>
bool pair_linear_backward(const LinearArgs& a) {
  if (!valid_graph<I>(a.n, a.nnz, a.face, a.ptr, a.order)) return false;
  const i64 q = a.outputs, C = a.channels, d = a.dim, size = kBlockVertices * d * C, parts = vertex_parts(a.n);
  Scratch<T> panels(packed_size<T>(2 * q, a.width)), dz(a.nnz * q), dweight(parts * 2 * q * a.width);
  pack<T>(panels, 2 * q, a.width, static_cast<const T*>(a.weight), a.width, 1);
  pair_gradient<T, I>(a, dz);
  for_vertex_parts(a, [&](i64 part, i64 from, i64 to) {
    Scratch<T> room(size), sums(size), ends(kBlockVertices * 2 * q), packed(packed_size<T>(kBlockVertices, a.width));
    Ahead nothing;
    T* of_weight = dweight + part * 2 * q * a.width;
    fill_zero(of_weight, 2 * q * a.width);
    for_vertex_blocks(from, to, [&](i64 first, i64 count) {
      const T* y = pair_input<T>(a, first, count, room, sums);
      gather_ends<T, I>(a, first, count, dz, ends.p);
      pack<T>(packed, count, a.width, y, a.width, 1);
      multiply<T>(2 * q, a.width, count, ends, 1, 2 * q, packed, Target<T>{of_weight, a.width, nullptr, true}, nothing);
      T* dx = static_cast<T*>(a.dx) + first * d * C;
      T* dy = a.width == d * C ? dx : sums.p;
      multiply<T>(count, a.width, 2 * q, ends, 2 * q, 1, panels, Target<T>{dy, a.width}, nothing);
      if (dy != dx)
        for (i64 row = 0; row < count * d; ++row) copy_values(dx + row * C, dy + row / d * C, C);
      if (a.drop.threshold) drop_range(a.drop, first * d * C, count * d * C, dx, dx);
    });
  });
  add_parts<T>(dweight, parts, 2 * q * a.width, a.dweight);
  return true;
}

}  // namespace
}  // namespace topodiff
