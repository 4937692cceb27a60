// Messages between upper adjacent cells, one cell at a time: the terms of a cell live in registers or on the stack, and
// nothing of the size incidences x channels exists. Each part owns a range of faces (rows of out); a cell whose
// faces belong to two parts is computed by both.
#pragma once
#include "split.hpp"
#include "vector_math.hpp"

namespace topodiff {
namespace {

constexpr i64 kMaxKept = 32;  // terms of a cell with more faces are computed twice

template <class T, class I>
struct Cofaces {
  const T *p, *q, *grad;  // p and q may be one row of zeros with stride 0
  const I *face, *ptr;
  i64 C, p_stride, q_stride, low, high;

  TOPODIFF_INLINE bool owns(i64 i) const { return i >= low && i < high; }
  template <class V>
  TOPODIFF_INLINE V term(i64 e, V qc, i64 at) const {
    return load<V>(p + face[e] * p_stride + at) + qc;
  }
};

template <class V, class T>
TOPODIFF_INLINE void add(T* target, V v) {
  store(target, load<V>(target) + v);
}

// out_i += sum over other faces j of c of act(p_j + q_c), for the faces i of cell c.
template <int A, class P, class T, class I>
TOPODIFF_INLINE void cell_forward(const Cofaces<T, I>& k, i64 c, i64 at, T* out) {
  using V = typename P::V;
  const i64 begin = k.ptr[c], count = k.ptr[c + 1] - begin;
  const V qc = load<V>(k.q + c * k.q_stride + at);
  if (count == 2) {
    const i64 i = k.face[begin], j = k.face[begin + 1];
    if (k.owns(j)) add(out + j * k.C + at, activation_of<A, V, T>(k.template term<V>(begin, qc, at)));
    if (k.owns(i)) add(out + i * k.C + at, activation_of<A, V, T>(k.template term<V>(begin + 1, qc, at)));
    return;
  }
  V kept[kMaxKept], sum = {};
  for (i64 n = 0; n < count; ++n) {
    const V a = activation_of<A, V, T>(k.template term<V>(begin + n, qc, at));
    if (n < kMaxKept) kept[n] = a;
    sum += a;
  }
  for (i64 n = 0; n < count; ++n) {
    const i64 i = k.face[begin + n];
    if (!k.owns(i)) continue;
    const V a = n < kMaxKept ? kept[n] : activation_of<A, V, T>(k.template term<V>(begin + n, qc, at));
    add(out + i * k.C + at, sum - a);
  }
}

// dz_j = (sum of grad over the other faces) act'(p_j + q_c); dp_j += dz_j, dq_c = sum of dz_j. dp or dq may be null.
template <int A, class P, class T, class I>
TOPODIFF_INLINE void cell_backward(const Cofaces<T, I>& k, i64 c, i64 at, T* dp, T* dq) {
  using V = typename P::V;
  const i64 begin = k.ptr[c], count = k.ptr[c + 1] - begin;
  const V qc = load<V>(k.q + c * k.q_stride + at);
  V total = {}, dqc = {};
  if (count == 2) {
    const i64 i = k.face[begin], j = k.face[begin + 1];
    const V gi = load<V>(k.grad + i * k.C + at), gj = load<V>(k.grad + j * k.C + at);
    const V di = gj * derivative_of<A, V, T>(k.template term<V>(begin, qc, at));
    const V dj = gi * derivative_of<A, V, T>(k.template term<V>(begin + 1, qc, at));
    if (dp && k.owns(i)) add(dp + i * k.C + at, di);
    if (dp && k.owns(j)) add(dp + j * k.C + at, dj);
    dqc = di + dj;
  } else {
    for (i64 e = begin; e < begin + count; ++e) total += load<V>(k.grad + k.face[e] * k.C + at);
    for (i64 e = begin; e < begin + count; ++e) {
      const i64 i = k.face[e];
      const V others = total - load<V>(k.grad + i * k.C + at);
      const V dz = others * derivative_of<A, V, T>(k.template term<V>(e, qc, at));
      if (dp && k.owns(i)) add(dp + i * k.C + at, dz);
      dqc += dz;
    }
  }
  // The owner of the first face writes.
  if (dq && (count == 0 || k.owns(k.face[begin]))) store(dq + c * k.C + at, dqc);
}

// Whether a part owns a face of cell c (cells without faces belong to the first part).
template <class T, class I>
TOPODIFF_INLINE bool touches(const Cofaces<T, I>& k, i64 c) {
  for (i64 e = k.ptr[c]; e < k.ptr[c + 1]; ++e)
    if (k.owns(k.face[e])) return true;
  return k.low == 0 && k.ptr[c] == k.ptr[c + 1];
}

// prepare(low, high) for the rows a part owns, then visit(cofaces, cell) for every cell that has a face among them.
template <class T, class I, class Prepare, class Visit>
void for_cells(const Args& a, Report* report, Prepare prepare, Visit visit) {
  if (!ptr_ends_right<I>(a, report)) return;
  for_owned_rows(a, a.rows, [&](i64 low, i64 high) {
    Cofaces<T, I> k;
    k.p = static_cast<const T*>(a.x), k.p_stride = a.x_stride;
    k.q = static_cast<const T*>(a.y), k.q_stride = a.y_stride;
    k.grad = static_cast<const T*>(a.grad);
    k.face = static_cast<const I*>(a.index), k.ptr = static_cast<const I*>(a.ptr);
    k.C = a.channels, k.low = low, k.high = high;
    prepare(low, high);
    walk_segments<I>(a, 0, a.segments, k.C * sizeof(T), report, [&](i64 first, i64 last) {
      if (!index_is_valid(k.face, k.ptr[first], k.ptr[last], a.rows, report)) return;
      for (i64 c = first; c < last; ++c)
        if (touches(k, c)) visit(k, c);
    });
  });
}

template <class F>
TOPODIFF_INLINE void with_activation(int activation, F f) {
  if (activation == kIdentity) f(Count<kIdentity>{});
  else if (activation == kRelu) f(Count<kRelu>{});
  else if (activation == kElu) f(Count<kElu>{});
  else if (activation == kSilu) f(Count<kSilu>{});
  else f(Count<kTanh>{});
}

template <class T, class I>
void coface_message(const Args& a, Report* report) {
  T* out = static_cast<T*>(a.out);
  with_activation(a.activation, [&](auto activation) {
    auto zero = [&](i64 low, i64 high) { zero_rows(out, low, high, a.channels); };
    for_cells<T, I>(a, report, zero, [&](const Cofaces<T, I>& k, i64 c) {
      for_pieces<T, 4>(k.C, [&](auto piece) {
        using P = decltype(piece);
        for (int n = 0; n < P::K; ++n) cell_forward<decltype(activation)::value, P>(k, c, piece.at + n * P::N, out);
      });
    });
  });
}

template <class T, class I>
void coface_message_backward(const Args& a, Report* report) {
  T *dp = static_cast<T*>(a.out), *dq = static_cast<T*>(a.out2);
  with_activation(a.activation, [&](auto activation) {
    auto zero = [&](i64 low, i64 high) { zero_rows(dp, low, high, a.channels); };
    for_cells<T, I>(a, report, zero, [&](const Cofaces<T, I>& k, i64 c) {
      for_pieces<T, 4>(k.C, [&](auto piece) {
        using P = decltype(piece);
        for (int n = 0; n < P::K; ++n)
          cell_backward<decltype(activation)::value, P>(k, c, piece.at + n * P::N, dp, dq);
      });
    });
  });
}

}  // namespace
}  // namespace topodiff
