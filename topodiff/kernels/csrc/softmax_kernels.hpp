// Softmax over sorted segments and its gradient.
#pragma once
#include "split.hpp"
#include "vector_math.hpp"

namespace topodiff {
namespace {

// One segment of K vectors of channels: maximum, exponentials and their sum, quotient.
template <class P, class T>
TOPODIFF_INLINE void softmax_rows(const T* x, i64 count, i64 stride, T* y) {
  using V = typename P::V;
  V top[P::K], sum[P::K] = {};
  for (int k = 0; k < P::K; ++k) top[k] = load<V>(x + k * P::N);
  for (i64 e = 1; e < count; ++e)
    for (int k = 0; k < P::K; ++k) {
      const V v = load<V>(x + e * stride + k * P::N);
      top[k] = v > top[k] ? v : top[k];
    }
  for (i64 e = 0; e < count; ++e)
    for (int k = 0; k < P::K; ++k) {
      const V v = exp_of<V, T>(load<V>(x + e * stride + k * P::N) - top[k]);
      sum[k] += v;
      store(y + e * stride + k * P::N, v);
    }
  for (int k = 0; k < P::K; ++k) sum[k] = T(1) / sum[k];
  for (i64 e = 0; e < count; ++e)
    for (int k = 0; k < P::K; ++k) {
      T* p = y + e * stride + k * P::N;
      store(p, load<V>(p) * sum[k]);
    }
}

// One segment of one channel, vectors along the entries.
template <class T>
TOPODIFF_INLINE void softmax_run(const T* x, i64 count, T* y) {
  constexpr int N = TOPODIFF_VECTOR_BYTES / sizeof(T);
  T top = x[0], sum = 0;
  for (i64 e = 1; e < count; ++e) top = x[e] > top ? x[e] : top;
  i64 at = 0;
  auto exponentials = [&](auto lanes) {
    using V = Vec<T, decltype(lanes)::value>;
    for (; at + decltype(lanes)::value <= count; at += decltype(lanes)::value) {
      const V v = exp_of<V, T>(load<V>(x + at) - top);
      store(y + at, v);
      sum += sum_of<V, T>(v);
    }
  };
  exponentials(Count<N>{});
  exponentials(Count<2>{});
  exponentials(Count<1>{});
  const T scale = T(1) / sum;
  for (i64 e = 0; e < count; ++e) y[e] *= scale;
}

template <class T, class I>
void segment_softmax(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* ptr = static_cast<const I*>(a.ptr);
  T* y = static_cast<T*>(a.out);
  const i64 C = a.channels;
  for_segments<I>(a, 2 * C * sizeof(T), report, [&](i64 first, i64 last) {
    if (C == 1) {
      for (i64 s = first; s < last; ++s)
        if (ptr[s + 1] > ptr[s]) softmax_run(x + ptr[s], ptr[s + 1] - ptr[s], y + ptr[s]);
      return;
    }
    for_pieces<T, 2>(C, [&](auto piece) {
      using P = decltype(piece);
      for (i64 s = first; s < last; ++s) {
        const i64 at = ptr[s] * C + piece.at;
        if (ptr[s + 1] > ptr[s]) softmax_rows<P>(x + at, ptr[s + 1] - ptr[s], C, y + at);
      }
    });
  });
}

// out = y (grad - sum over the segment of grad y); x is y here.
template <class T, class I>
void segment_softmax_backward(const Args& a, Report* report) {
  const T* y = static_cast<const T*>(a.x);
  const T* grad = static_cast<const T*>(a.grad);
  const I* ptr = static_cast<const I*>(a.ptr);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  for_segments<I>(a, 3 * C * sizeof(T), report, [&](i64 first, i64 last) {
    for_pieces<T, 4>(C, [&](auto piece) {
      using P = decltype(piece);
      using V = typename P::V;
      for (i64 s = first; s < last; ++s) {
        V dot[P::K] = {};
        for (i64 e = ptr[s]; e < ptr[s + 1]; ++e)
          for (int k = 0; k < P::K; ++k) {
            const i64 at = e * C + piece.at + k * P::N;
            dot[k] += load<V>(grad + at) * load<V>(y + at);
          }
        for (i64 e = ptr[s]; e < ptr[s + 1]; ++e)
          for (int k = 0; k < P::K; ++k) {
            const i64 at = e * C + piece.at + k * P::N;
            store(out + at, load<V>(y + at) * (load<V>(grad + at) - dot[k]));
          }
      }
    });
  });
}

}  // namespace
}  // namespace topodiff
