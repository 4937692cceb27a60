// Weights of entries: positive functions of their scores over the sums within segments, the mean over heads.
#pragma once
#include "attention.hpp"
#include "softmax_kernels.hpp"

namespace topodiff {
namespace {

// f(s) > 0 and f'(s): exp(s - top), or s + sqrt(s^2 + 4), which for s < 0 is written without cancellation.
template <int Q, class V, class T>
TOPODIFF_INLINE V positive_of(V s, V top, V& slope) {
  if constexpr (Q == kSoftmax) return slope = exp_of<V, T>(s - top);
  const V root = sqrt_of<V, T>((s - top) * (s - top) + T(4)), size = s - top < V{} ? top - s : s - top;
  const V large = root + size, f = s - top < V{} ? T(4) / large : large;
  slope = f / root;
  return f;
}

// What the scores of a segment are seen from: their maximum for softmax, a.top for the others.
template <int Q, class P, class T, class E>
TOPODIFF_INLINE void tops_of(const AttentionArgs& a, const T* scores, i64 begin, i64 end, E entry, typename P::V* top) {
  using V = typename P::V;
  for (int k = 0; k < P::K; ++k)
    top[k] = Q == kSoftmax ? load<V>(scores + entry(begin) * a.heads + k * P::N) : fill<V>(T(a.top));
  if constexpr (Q == kSoftmax)
    for (i64 i = begin + 1; i < end; ++i)
      for (int k = 0; k < P::K; ++k) {
        const V v = load<V>(scores + entry(i) * a.heads + k * P::N);
        top[k] = v > top[k] ? v : top[k];
      }
}

// visit(entry, begin, end) for every segment that has entries, in parallel; entry(i) is the i-th in order of segments.
template <class T, class I, class F>
void for_weighted(const AttentionArgs& a, Report* report, F visit) {
  Args sizes = a;
  sizes.channels = a.heads;
  const I *ptr = static_cast<const I*>(a.ptr), *order = static_cast<const I*>(a.index);
  for_segments<I>(sizes, 2 * a.heads * sizeof(T), report, [&](i64 first, i64 last) {
    if (order && !index_is_valid(order, ptr[first], ptr[last], a.nnz, report)) return;
    for (i64 s = first; s < last; ++s) {
      if (ptr[s] == ptr[s + 1]) continue;
      if (order)
        visit([&](i64 i) { return i64(order[i]); }, s, ptr[s], ptr[s + 1]);
      else
        visit([](i64 i) { return i; }, s, ptr[s], ptr[s + 1]);
    }
  });
}

template <int Q, class T, class I>
void many_heads(const AttentionArgs& a, Report* report) {
  const T* scores = static_cast<const T*>(a.x);
  T* out = static_cast<T*>(a.out);
  for_weighted<T, I>(a, report, [&](auto entry, i64, i64 begin, i64 end) {
    for (i64 i = begin; i < end; ++i) out[entry(i)] = 0;
    for_pieces<T, 2>(a.heads, [&](auto piece) {
      using P = decltype(piece);
      using V = typename P::V;
      const T* x = scores + piece.at;
      V top[P::K], slope, sum[P::K] = {};
      tops_of<Q, P>(a, x, begin, end, entry, top);
      const auto value = [&](i64 i, int k) {
        return positive_of<Q, V, T>(load<V>(x + entry(i) * a.heads + k * P::N), top[k], slope);
      };
      for (i64 i = begin; i < end; ++i)
        for (int k = 0; k < P::K; ++k) sum[k] += value(i, k);
      for (int k = 0; k < P::K; ++k) sum[k] = sum[k] == V{} ? V{} : T(1) / (T(a.heads) * sum[k]);
      for (i64 i = begin; i < end; ++i) {
        V share{};
        for (int k = 0; k < P::K; ++k) share += value(i, k) * sum[k];
        out[entry(i)] += sum_of<V, T>(share);
      }
    });
  });
}

// dscores = f'(s) (grad - mean of grad by f) / (heads sum of f); out2: its sum over each segment.
template <int Q, class T, class I>
void many_heads_backward(const AttentionArgs& a, Report* report) {
  const T *scores = static_cast<const T*>(a.x), *grad = static_cast<const T*>(a.grad);
  T *out = static_cast<T*>(a.dscores), *totals = static_cast<T*>(a.out2);
  for_weighted<T, I>(a, report, [&](auto entry, i64 s, i64 begin, i64 end) {
    for_pieces<T, 2>(a.heads, [&](auto piece) {
      using P = decltype(piece);
      using V = typename P::V;
      const T* x = scores + piece.at;
      V top[P::K], slope, sum[P::K] = {}, dot[P::K] = {}, total{};
      tops_of<Q, P>(a, x, begin, end, entry, top);
      const auto value = [&](i64 i, int k) {
        return positive_of<Q, V, T>(load<V>(x + entry(i) * a.heads + k * P::N), top[k], slope);
      };
      for (i64 i = begin; i < end; ++i)
        for (int k = 0; k < P::K; ++k) {
          const V f = value(i, k);
          sum[k] += f, dot[k] += grad[entry(i)] * f;
        }
      for (int k = 0; k < P::K; ++k) {
        const V inverse = sum[k] == V{} ? V{} : T(1) / sum[k];
        dot[k] *= inverse, sum[k] = inverse / T(a.heads);
      }
      for (i64 i = begin; i < end; ++i)
        for (int k = 0; k < P::K; ++k) {
          value(i, k);
          const V d = slope * (grad[entry(i)] - dot[k]) * sum[k];
          store(out + entry(i) * a.heads + piece.at + k * P::N, d);
          total += d;
        }
      totals[s] += sum_of<V, T>(total);
    });
  });
}

// f of all scores of one head, in their own order, with vectors along them.
template <int Q, class T>
void values_of(const AttentionArgs& a, T* values) {
  const T* scores = static_cast<const T*>(a.x);
  const int threads = threads_for(a, a.nnz);
  parallel(threads, threads, [&](i64 part, i64 parts) {
    i64 e = a.nnz * part / parts;
    const i64 end = a.nnz * (part + 1) / parts;
    const auto run = [&](auto lanes) {
      constexpr int N = decltype(lanes)::value;
      using V = Vec<T, N>;
      V slope;
      for (; e + N <= end; e += N) store(values + e, positive_of<Q, V, T>(load<V>(scores + e), fill<V>(T(a.top)), slope));
    };
    run(Count<TOPODIFF_VECTOR_BYTES / sizeof(T)>{});
    run(Count<1>{});
  });
}

// f of the scores of a segment over its sum, for exp.
template <class T, class E>
TOPODIFF_INLINE void softmax_of_segment(const AttentionArgs& a, i64 begin, i64 end, E entry, T* values) {
  const T* scores = static_cast<const T*>(a.x);
  if (!a.index) return softmax_run(scores + begin, end - begin, values + begin);
  using V = Vec<T, 1>;
  T top = scores[entry(begin)], sum = 0;
  for (i64 i = begin + 1; i < end; ++i) top = scores[entry(i)] > top ? scores[entry(i)] : top;
  for (i64 i = begin; i < end; ++i) sum += values[entry(i)] = exp_of<V, T>(V{scores[entry(i)] - top})[0];
  for (i64 i = begin; i < end; ++i) values[entry(i)] /= sum;
}

// Both kernels for one head. f' follows from f: (s + r)' = f / r with r = (f + 4 / f) / 2.
template <int Q, bool Backward, class T, class I>
void one_head(const AttentionArgs& a, Report* report) {
  const T* grad = static_cast<const T*>(a.grad);
  T *values = static_cast<T*>(Backward ? a.dscores : a.out), *totals = static_cast<T*>(a.out2);
  if (Q != kSoftmax) values_of<Q>(a, values);
  for_weighted<T, I>(a, report, [&](auto entry, i64 s, i64 begin, i64 end) {
    T sum = 0, dot = 0, total = 0;
    if constexpr (Q == kSoftmax) softmax_of_segment(a, begin, end, entry, values);
    for (i64 i = begin; i < end; ++i) sum += values[entry(i)];
    const T inverse = Q == kSoftmax ? T(1) : sum == 0 ? T(0) : T(1) / sum;
    if constexpr (!Backward) {
      for (i64 i = begin; i < end; ++i) values[entry(i)] *= inverse;
      return;
    }
    for (i64 i = begin; i < end; ++i) dot += grad[entry(i)] * values[entry(i)];
    for (i64 i = begin; i < end; ++i) {
      const T v = values[entry(i)], slope = Q == kSoftmax ? v : 2 * v * v / (v * v + 4);
      total += values[entry(i)] = slope * (grad[entry(i)] - dot * inverse) * inverse;
    }
    totals[s] = total;
  });
}

// The largest of all scores has a share in every weight; scores that are equally large divide it.
template <class T>
void subtract_from_top(const AttentionArgs& a) {
  const T *scores = static_cast<const T*>(a.x), *totals = static_cast<const T*>(a.out2);
  T* out = static_cast<T*>(a.dscores);
  double total = 0;
  for (i64 s = 0; s < a.segments; ++s) total += totals[s];
  i64 ties = 0;
  for (i64 i = 0; i < a.nnz * a.heads; ++i) ties += scores[i] == T(a.top);
  for (i64 i = 0; i < a.nnz * a.heads; ++i)
    if (scores[i] == T(a.top)) out[i] -= T(total / double(ties));
}

template <int Q, class T, class I>
void weights_as(const AttentionArgs& a, Report* report) {
  a.heads == 1 ? one_head<Q, false, T, I>(a, report) : many_heads<Q, T, I>(a, report);
}

template <int Q, class T, class I>
void weights_backward_as(const AttentionArgs& a, Report* report) {
  zero_rows(static_cast<T*>(a.out2), 0, a.segments, 1);
  a.heads == 1 ? one_head<Q, true, T, I>(a, report) : many_heads_backward<Q, T, I>(a, report);
}

template <class T, class I>
void segment_weights(const AttentionArgs& a, Report* report) {
  a.squash == kSoftmax ? weights_as<kSoftmax, T, I>(a, report) : weights_as<kSquareplus, T, I>(a, report);
}

template <class T, class I>
void segment_weights_backward(const AttentionArgs& a, Report* report) {
  a.squash == kSoftmax ? weights_backward_as<kSoftmax, T, I>(a, report)
                       : weights_backward_as<kSquareplus, T, I>(a, report);
  if (a.squash == kShiftedSquareplus && report->fault == Fault::none) subtract_from_top<T>(a);
}

}  // namespace
}  // namespace topodiff
