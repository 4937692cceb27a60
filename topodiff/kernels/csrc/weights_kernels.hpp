// Weights of entries: positive functions of their scores over the sums within segments, the mean over heads.
#pragma once
#include "attention.hpp"
#include "split.hpp"
#include "vector_math.hpp"

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
void weights_as(const AttentionArgs& a, Report* report) {
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
void weights_backward_as(const AttentionArgs& a, Report* report) {
  const T *scores = static_cast<const T*>(a.x), *grad = static_cast<const T*>(a.grad);
  T *out = static_cast<T*>(a.dscores), *totals = static_cast<T*>(a.out2);
  for (i64 s = 0; s < a.segments; ++s) totals[s] = 0;
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
