// out_v = W_1 drop(x)_v W_2^T, one matrix for all stalks and one for all channels, in one pass each way.
#pragma once
#include "vertex_parts.hpp"

namespace topodiff {
namespace {

// out_v = W x_v, or W^T x_v, for `count` stalks.
template <class T>
void mix_stalks(const LinearArgs& a, bool transpose, i64 count, const T* x, T* out) {
  const T* w = static_cast<const T*>(a.left);
  const i64 C = a.channels, d = a.dim, row = transpose ? 1 : d, column = transpose ? d : 1;
  for (i64 v = 0; v < count; ++v)
    for_pieces<T, 2>(C, [&](auto piece) {
      using P = decltype(piece);
      using V = typename P::V;
      const i64 at = v * d * C + piece.at;
      for (i64 i = 0; i < d; ++i) {
        V sum[P::K] = {};
        for (i64 j = 0; j < d; ++j)
          for (int k = 0; k < P::K; ++k) sum[k] += w[i * row + j * column] * load<V>(x + at + j * C + k * P::N);
        for (int k = 0; k < P::K; ++k) store(out + at + i * C + k * P::N, sum[k]);
      }
    });
}

// sums += sum over stalks of g_v x_v^T
template <class T>
void add_stalk_outer(const LinearArgs& a, i64 count, const T* g, const T* x, T* sums) {
  const i64 C = a.channels, d = a.dim;
  for (i64 i = 0; i < d; ++i)
    for (i64 j = 0; j < d; ++j)
      for_pieces<T, 2>(C, [&](auto piece) {
        using P = decltype(piece);
        using V = typename P::V;
        V sum[P::K] = {};
        for (i64 v = 0; v < count; ++v)
          for (int k = 0; k < P::K; ++k) {
            const i64 at = v * d * C + piece.at + k * P::N;
            sum[k] += load<V>(g + at + i * C) * load<V>(x + at + j * C);
          }
        for (int k = 0; k < P::K; ++k) sums[i * d + j] += sum_of<V, T>(sum[k]);
      });
}

template <class T>
bool stalk_linear(const LinearArgs& a) {
  const i64 d = a.dim, C = a.channels, size = kBlockVertices * d * C;
  const T* right = static_cast<const T*>(a.right);
  Scratch<T> panels(right ? packed_size<T>(C, C) : 0);
  if (right) pack<T>(panels, C, C, right, 1, C);
  for_vertex_parts(a, [&](i64, i64 from, i64 to) {
    Scratch<T> room(size), turned(size);
    Ahead nothing;
    for_vertex_blocks(from, to, [&](i64 first, i64 count) {
      T* out = static_cast<T*>(a.out) + first * d * C;
      const T* y = dropped_state<T>(a, first, count, a.left || right ? room.p : out);
      if (right) {
        T* u = a.left ? turned.p : out;
        multiply<T>(count * d, C, C, y, C, 1, panels, Target<T>{u, C}, nothing);
        y = u;
      }
      if (a.left) mix_stalks(a, false, count, y, out);
      else if (y != out) copy_values(out, y, count * d * C);
    });
  });
  return true;
}

// With h = g W_2 and k = W_1^T g, where g is the gradient of out and y = drop(x):
// dW_1 = sum_v h_v y_v^T, dW_2 = sum_v k_v^T y_v, dx = drop(W_1^T h).
template <class T>
bool stalk_linear_backward(const LinearArgs& a) {
  const i64 d = a.dim, C = a.channels, size = kBlockVertices * d * C, parts = vertex_parts(a.n);
  const T *right = static_cast<const T*>(a.right), *grad = static_cast<const T*>(a.grad);
  Scratch<T> panels(right ? packed_size<T>(C, C) : 0), dleft(parts * d * d), dright(parts * C * C);
  if (right) pack<T>(panels, C, C, right, C, 1);
  for_vertex_parts(a, [&](i64 part, i64 from, i64 to) {
    Scratch<T> room(size), turned(size), mixed(size), packed(packed_size<T>(kBlockVertices * d, C));
    Ahead nothing;
    T *of_left = dleft + part * d * d, *of_right = dright + part * C * C;
    fill_zero(of_left, d * d);
    fill_zero(of_right, C * C);
    for_vertex_blocks(from, to, [&](i64 first, i64 count) {
      const i64 rows = count * d;
      T* dx = static_cast<T*>(a.dx) + first * d * C;
      const T *y = dropped_state<T>(a, first, count, room), *g = grad + first * d * C, *h = g;
      if (right) {
        const T* k = g;
        if (a.left) mix_stalks(a, true, count, g, mixed.p), k = mixed;
        pack<T>(packed, rows, C, y, C, 1);
        multiply<T>(C, C, rows, k, 1, C, packed, Target<T>{of_right, C, nullptr, true}, nothing);
        T* to_here = a.left ? turned.p : dx;
        multiply<T>(rows, C, C, g, C, 1, panels, Target<T>{to_here, C}, nothing);
        h = to_here;
      }
      if (a.left) {
        add_stalk_outer(a, count, h, y, of_left);
        mix_stalks(a, true, count, h, dx);
        h = dx;
      }
      if (a.drop.threshold || h != dx) drop_range(a.drop, first * d * C, rows * C, h, dx);
    });
  });
  if (a.left) add_parts<T>(dleft, parts, d * d, a.dleft);
  if (right) add_parts<T>(dright, parts, C * C, a.dright);
  return true;
}

}  // namespace
}  // namespace topodiff
