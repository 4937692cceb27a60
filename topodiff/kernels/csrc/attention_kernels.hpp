// The kernels of attention.hpp. Scores and weights exist per entry and head; no array of entries x channels does.
#pragma once
#include "attention.hpp"
#include "softmax_kernels.hpp"
#include "weights_kernels.hpp"

namespace topodiff {
namespace {

template <class T>
TOPODIFF_INLINE T dot_of(const T* a, const T* b, i64 n) {
  constexpr int N = TOPODIFF_VECTOR_BYTES / sizeof(T);
  using V = Vec<T, N>;
  i64 c = 0;
  V first{}, second{};
  for (; c + 2 * N <= n; c += 2 * N) {
    first += load<V>(a + c) * load<V>(b + c);
    second += load<V>(a + c + N) * load<V>(b + c + N);
  }
  for (; c + N <= n; c += N) first += load<V>(a + c) * load<V>(b + c);
  T sum = sum_of<V, T>(first + second);
  if constexpr (N >= 8) {
    using Half = Vec<T, N / 2>;
    Half rest{};
    for (; c + N / 2 <= n; c += N / 2) rest += load<Half>(a + c) * load<Half>(b + c);
    sum += sum_of<Half, T>(rest);
  }
  for (; c < n; ++c) sum += a[c] * b[c];
  return sum;
}

// out[0..n) = or += factor * x[0..n)
template <bool Add, class T>
TOPODIFF_INLINE void add_row(T* out, T factor, const T* x, i64 n) {
  for_pieces<T, 4>(n, [&](auto piece) {
    using P = decltype(piece);
    using V = typename P::V;
    for (int k = 0; k < P::K; ++k) {
      T* target = out + piece.at + k * P::N;
      const V v = factor * load<V>(x + piece.at + k * P::N);
      store(target, Add ? load<V>(target) + v : v);
    }
  });
}

template <class T>
TOPODIFF_INLINE T mean_of(const T* alpha, i64 heads) {
  T sum = 0;
  for (i64 h = 0; h < heads; ++h) sum += alpha[h];
  return sum / T(heads);
}

// visit(s) for every row of valid entries, in parallel.
template <class T, class I, class F>
void for_rows(const AttentionArgs& a, i64 values, Report* report, F visit) {
  Args sizes = a;
  sizes.channels = values;  // per entry, which is what the number of threads goes by
  const I *ptr = static_cast<const I*>(a.ptr), *index = static_cast<const I*>(a.index);
  for_segments<I>(sizes, values * sizeof(T), report, [&](i64 first, i64 last) {
    if (!index_is_valid(index, ptr[first], ptr[last], a.rows, report)) return;
    for (i64 s = first; s < last; ++s) visit(s);
  });
}

template <class T, class I>
void edge_dot(const AttentionArgs& a, Report* report) {
  const T *q = static_cast<const T*>(a.q), *k = static_cast<const T*>(a.k);
  const I *ptr = static_cast<const I*>(a.ptr), *index = static_cast<const I*>(a.index);
  T* out = static_cast<T*>(a.out);
  const i64 H = a.heads, d = a.width;
  for_rows<T, I>(a, H * d, report, [&](i64 s) {
    for (i64 e = ptr[s]; e < ptr[s + 1]; ++e)
      for (i64 h = 0; h < H; ++h) out[e * H + h] = T(a.scale) * dot_of(q + (s * H + h) * d, k + (index[e] * H + h) * d, d);
  });
}

// out[0..n) = sum over entries of weight(e) x[index[e] * stride + 0..n); sums stay in registers.
template <class T, class I, class W>
TOPODIFF_INLINE void gather_row(const T* x, const I* index, i64 begin, i64 end, i64 stride, i64 n, T* out, W weight) {
  for_pieces<T, 8>(n, [&](auto piece) {
    using P = decltype(piece);
    using V = typename P::V;
    V sum[P::K] = {};
    for (i64 e = begin; e < end; ++e) {
      const T w = weight(e);
      const T* row = x + i64(index[e]) * stride + piece.at;
      for (int k = 0; k < P::K; ++k) sum[k] += w * load<V>(row + k * P::N);
    }
    for (int k = 0; k < P::K; ++k) store(out + piece.at + k * P::N, sum[k]);
  });
}

// One row of kHeadGather for all heads, of x (heads, channels) or shared.
template <class T, class I>
TOPODIFF_INLINE void gather_heads(const AttentionArgs& a, const T* alpha, const T* x, i64 s, T* out) {
  const I *ptr = static_cast<const I*>(a.ptr), *index = static_cast<const I*>(a.index);
  const i64 H = a.heads, C = a.channels;
  if (a.shared) return gather_row(x, index, ptr[s], ptr[s + 1], C, C, out, [&](i64 e) { return mean_of(alpha + e * H, H); });
  for (i64 h = 0; h < H; ++h)
    gather_row(x + h * C, index, ptr[s], ptr[s + 1], H * C, C, out + h * C, [&](i64 e) { return alpha[e * H + h]; });
}

template <class T, class I>
void head_gather(const AttentionArgs& a, Report* report) {
  const T *x = static_cast<const T*>(a.x), *alpha = static_cast<const T*>(a.alpha);
  const i64 row = a.heads * a.channels;
  T* out = static_cast<T*>(a.out);
  for_rows<T, I>(a, row, report, [&](i64 s) { gather_heads<T, I>(a, alpha, x, s, out + s * row); });
}

// f(s, e, j) for all entries whose column j is in low..high - 1, of valid rows.
template <class I, class F>
void for_columns(const AttentionArgs& a, i64 low, i64 high, Report* report, F f) {
  const I *ptr = static_cast<const I*>(a.ptr), *index = static_cast<const I*>(a.index);
  walk_segments<I>(a, 0, a.segments, 64, report, [&](i64 first, i64 last) {
    if (!index_is_valid(index, ptr[first], ptr[last], a.rows, report)) return;
    for (i64 s = first; s < last; ++s)
      for (i64 e = ptr[s]; e < ptr[s + 1]; ++e)
        if (index[e] >= low && index[e] < high) f(s, e, i64(index[e]));
  });
}

template <class T, class I>
void head_spread(const AttentionArgs& a, Report* report) {
  const T *x = static_cast<const T*>(a.x), *alpha = static_cast<const T*>(a.alpha);
  const i64 H = a.heads, C = a.channels;
  T* out = static_cast<T*>(a.out);
  if (!ptr_ends_right<I>(a, report)) return;
  for_owned_rows(a, a.rows, [&](i64 low, i64 high) {
    zero_rows(out, low, high, H * C);
    for_columns<I>(a, low, high, report, [&](i64 s, i64 e, i64 j) {
      for (i64 h = 0; h < H; ++h) add_row<true>(out + (j * H + h) * C, alpha[e * H + h], x + (s * H + h) * C, C);
    });
  });
}

template <class T>
TOPODIFF_INLINE void softmax_of_row(const T* scores, i64 count, i64 heads, T* alpha) {
  if (count == 0) return;
  if (heads == 1) return softmax_run(scores, count, alpha);
  for_pieces<T, 2>(heads, [&](auto piece) {
    softmax_rows<decltype(piece)>(scores + piece.at, count, heads, alpha + piece.at);
  });
}

template <class T, class I>
void edge_attention(const AttentionArgs& a, Report* report) {
  const T *q = static_cast<const T*>(a.q), *k = static_cast<const T*>(a.k), *x = static_cast<const T*>(a.x);
  const I *ptr = static_cast<const I*>(a.ptr), *index = static_cast<const I*>(a.index);
  const i64 H = a.heads, d = a.width, row = a.shared ? a.channels : H * a.channels;
  T *out = static_cast<T*>(a.out), *alpha = static_cast<T*>(a.out2);
  for_rows<T, I>(a, H * d + row, report, [&](i64 s) {
    for (i64 e = ptr[s]; e < ptr[s + 1]; ++e)
      for (i64 h = 0; h < H; ++h) alpha[e * H + h] = T(a.scale) * dot_of(q + (s * H + h) * d, k + (index[e] * H + h) * d, d);
    T* weights = alpha + ptr[s] * H;
    softmax_of_row(weights, ptr[s + 1] - ptr[s], H, weights);
    gather_heads<T, I>(a, alpha, x, s, out + s * row);
  });
}

// Gradient of the scores of one row, times the scale: alpha (r - sum over the row of alpha r), r = <grad, x>.
template <class T, class I>
TOPODIFF_INLINE void score_gradient(const AttentionArgs& a, i64 s, const T* x, const T* grad, const T* alpha, T* ds) {
  const I *ptr = static_cast<const I*>(a.ptr), *index = static_cast<const I*>(a.index);
  const i64 H = a.heads, C = a.channels;
  for (i64 e = ptr[s]; e < ptr[s + 1]; ++e) {
    const T all = a.shared ? dot_of(grad + s * C, x + index[e] * C, C) / T(H) : T(0);
    for (i64 h = 0; h < H; ++h) ds[e * H + h] = a.shared ? all : dot_of(grad + (s * H + h) * C, x + (index[e] * H + h) * C, C);
  }
  for (i64 h = 0; h < H; ++h) {
    T total = 0;
    for (i64 e = ptr[s]; e < ptr[s + 1]; ++e) total += alpha[e * H + h] * ds[e * H + h];
    for (i64 e = ptr[s]; e < ptr[s + 1]; ++e) ds[e * H + h] = T(a.scale) * alpha[e * H + h] * (ds[e * H + h] - total);
  }
}

template <class T, class I>
void edge_attention_backward(const AttentionArgs& a, Report* report) {
  const T *q = static_cast<const T*>(a.q), *k = static_cast<const T*>(a.k), *x = static_cast<const T*>(a.x);
  const T *alpha = static_cast<const T*>(a.alpha), *grad = static_cast<const T*>(a.grad);
  const I *ptr = static_cast<const I*>(a.ptr), *index = static_cast<const I*>(a.index);
  const i64 H = a.heads, d = a.width, C = a.channels, row = a.shared ? C : H * C;
  T *dq = static_cast<T*>(a.dq), *dk = static_cast<T*>(a.dk), *dx = static_cast<T*>(a.dx), *ds = static_cast<T*>(a.dscores);
  for_rows<T, I>(a, H * d + row, report, [&](i64 s) {
    score_gradient<T, I>(a, s, x, grad, alpha, ds);
    for (i64 h = 0; h < H; ++h)
      gather_row(k + h * d, index, ptr[s], ptr[s + 1], H * d, d, dq + (s * H + h) * d, [&](i64 e) { return ds[e * H + h]; });
  });
  if (report->fault != Fault::none) return;
  Args sizes = a;
  sizes.channels = H * d + row;
  for_owned_rows(sizes, a.rows, [&](i64 low, i64 high) {
    zero_rows(dk, low, high, H * d);
    zero_rows(dx, low, high, row);
    for_columns<I>(a, low, high, report, [&](i64 s, i64 e, i64 j) {
      for (i64 h = 0; h < H; ++h) add_row<true>(dk + (j * H + h) * d, ds[e * H + h], q + (s * H + h) * d, d);
      if (a.shared) return add_row<true>(dx + j * C, mean_of(alpha + e * H, H), grad + s * C, C);
      for (i64 h = 0; h < H; ++h) add_row<true>(dx + (j * H + h) * C, alpha[e * H + h], grad + (s * H + h) * C, C);
    });
  });
}

#define TOPODIFF_ATTENTION(kernel) \
  {{kernel<float, std::int32_t>, kernel<float, std::int64_t>}, {kernel<double, std::int32_t>, kernel<double, std::int64_t>}}

constexpr AttentionTable kAttentionTable = {
    {TOPODIFF_ATTENTION(edge_dot), TOPODIFF_ATTENTION(head_gather), TOPODIFF_ATTENTION(head_spread),
     TOPODIFF_ATTENTION(edge_attention), TOPODIFF_ATTENTION(edge_attention_backward),
     TOPODIFF_ATTENTION(segment_weights), TOPODIFF_ATTENTION(segment_weights_backward)}};

}  // namespace
}  // namespace topodiff
