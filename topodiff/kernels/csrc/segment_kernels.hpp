// Sums, means, expansions and extremes over sorted segments.
#pragma once
#include "split.hpp"

namespace topodiff {
namespace {

template <class T>
TOPODIFF_INLINE T mean_scale(const Args& a, i64 count) {
  return a.mean && count > 1 ? T(1) / T(count) : T(1);
}

// 0, 1, 2, ... in the lanes of a vector.
template <class I, int N>
TOPODIFF_INLINE I lane_numbers() {
  I lanes{};
  for (int k = 0; k < N; ++k) lanes[k] = k;
  return lanes;
}

// Sum of values that lie side by side (one channel). Whole vectors are read, the last of them up to its end, without a
// branch that depends on the count: short runs of odd lengths would be mispredicted.
template <class T>
TOPODIFF_INLINE T sum_padded_run(const T* x, i64 count) {
  constexpr int N = TOPODIFF_VECTOR_BYTES / sizeof(T);
  using V = Vec<T, N>;
  using Int = typename IntOf<T>::type;
  V sum{};
  if (count >= 4 * N) {
    V acc[4] = {};
    for (; count >= 4 * N; x += 4 * N, count -= 4 * N)
      for (int k = 0; k < 4; ++k) acc[k] += load<V>(x + k * N);
    sum = (acc[0] + acc[1]) + (acc[2] + acc[3]);
  }
  for (; count > N; x += N, count -= N) sum += load<V>(x);
  const auto inside = lane_numbers<Vec<Int, N>, N>() < fill<Vec<Int, N>>(Int(count));
  return sum_of<V, T>(sum + (inside ? load<V>(x) : V{}));
}

// The same where nothing may be read beyond the run.
template <class T>
T sum_run(const T* x, i64 count) {
  T sum = 0;
  for (i64 i = 0; i < count; ++i) sum += x[i];
  return sum;
}

// Sum of `count` rows; four sums run side by side where one would wait for its own additions.
template <class P, class T>
TOPODIFF_INLINE void sum_rows(const T* x, i64 count, i64 stride, T scale, T* out) {
  using V = typename P::V;
  constexpr int K = P::K, U = K == 1 ? 4 : 1;
  V acc[U][K] = {};
  i64 e = 0;
  for (; e + U <= count; e += U, x += U * stride)
    for (int u = 0; u < U; ++u)
      for (int k = 0; k < K; ++k) acc[u][k] += load<V>(x + u * stride + k * P::N);
  for (; e < count; ++e, x += stride)
    for (int k = 0; k < K; ++k) acc[0][k] += load<V>(x + k * P::N);
  for (int k = 0; k < K; ++k) {
    if constexpr (U == 4) acc[0][k] = (acc[0][k] + acc[1][k]) + (acc[2][k] + acc[3][k]);
    store(out + k * P::N, acc[0][k] * scale);
  }
}

template <class T, class I>
void segment_sum(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* ptr = static_cast<const I*>(a.ptr);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  for_segments<I>(a, C * sizeof(T), report, [&](i64 first, i64 last) {
    if (C == 1) {
      constexpr i64 N = TOPODIFF_VECTOR_BYTES / sizeof(T);
      for (i64 s = first; s < last; ++s) {
        const i64 begin = ptr[s], count = ptr[s + 1] - begin;
        const bool padded = ptr[s + 1] + N <= a.nnz;
        out[s] = (padded ? sum_padded_run(x + begin, count) : sum_run(x + begin, count)) * mean_scale<T>(a, count);
      }
      return;
    }
    for_pieces<T, 8>(C, [&](auto piece) {
      using P = decltype(piece);
      for (i64 s = first; s < last; ++s) {
        const i64 count = ptr[s + 1] - ptr[s];
        sum_rows<P>(x + ptr[s] * C + piece.at, count, C, mean_scale<T>(a, count), out + s * C + piece.at);
      }
    });
  });
}

template <class T, class I>
void segment_expand(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* ptr = static_cast<const I*>(a.ptr);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  for_segments<I>(a, C * sizeof(T), report, [&](i64 first, i64 last) {
    for_pieces<T, 8>(C, [&](auto piece) {
      using P = decltype(piece);
      using V = typename P::V;
      for (i64 s = first; s < last; ++s) {
        const T scale = mean_scale<T>(a, ptr[s + 1] - ptr[s]);
        V row[P::K];
        for (int k = 0; k < P::K; ++k) row[k] = load<V>(x + s * C + piece.at + k * P::N) * scale;
        for (i64 e = ptr[s]; e < ptr[s + 1]; ++e)
          for (int k = 0; k < P::K; ++k) store(out + e * C + piece.at + k * P::N, row[k]);
      }
    });
  });
}

// Running extreme of K vectors with the entry that first attained it. A NaN is kept, as PyTorch does.
template <class P, bool Largest, bool Where>
struct Extreme {
  using V = typename P::V;
  using I = typename P::I;
  using Int = typename IntOf<typename P::T>::type;
  V best[P::K];
  I entry[P::K];

  TOPODIFF_INLINE void start(const V* v) {
    for (int k = 0; k < P::K; ++k) best[k] = v[k], entry[k] = I{};
  }
  TOPODIFF_INLINE void take(const V* v, i64 e) {
    for (int k = 0; k < P::K; ++k) {
      const I beats = Largest ? v[k] > best[k] : v[k] < best[k];
      const I take = beats | ((v[k] != v[k]) & (best[k] == best[k]));
      best[k] = take ? v[k] : best[k];
      if constexpr (Where) entry[k] = take ? fill<I>(Int(e)) : entry[k];
    }
  }
  TOPODIFF_INLINE void finish(i64 offset, typename P::T* out, i64* where) const {
    for (int k = 0; k < P::K; ++k) {
      store(out + k * P::N, best[k]);
      if constexpr (Where)
        for (int i = 0; i < P::N; ++i) where[k * P::N + i] = offset + entry[k][i];
    }
  }
};

template <class P>
TOPODIFF_INLINE void empty_extreme(typename P::T* out, i64* where) {
  for (int i = 0; i < P::K * P::N; ++i) {
    out[i] = 0;
    if (where) where[i] = -1;
  }
}

// f(integral_constant-like largest, where) with both flags known to the compiler.
template <bool B>
struct Flag {
  static constexpr bool value = B;
};
template <class F>
TOPODIFF_INLINE void with_flags(bool largest, bool where, F f) {
  if (largest) where ? f(Flag<true>{}, Flag<true>{}) : f(Flag<true>{}, Flag<false>{});
  else where ? f(Flag<false>{}, Flag<true>{}) : f(Flag<false>{}, Flag<false>{});
}

// The first of `count` values side by side that is NaN or, without any, the extreme.
template <bool Largest, class T>
TOPODIFF_INLINE i64 extreme_of_run(const T* x, i64 count) {
  T best = x[0];
  bool nan = false;
  for (i64 e = 0; e < count; ++e) {
    best = (Largest ? x[e] > best : x[e] < best) ? x[e] : best;
    nan |= x[e] != x[e];
  }
  i64 e = 0;
  if (nan) while (x[e] == x[e]) ++e;
  else while (x[e] != best) ++e;
  return e;
}

template <bool Largest, class T, class I>
void extremes_of_runs(const T* x, const I* ptr, i64 first, i64 last, T* out, i64* where) {
  for (i64 s = first; s < last; ++s) {
    const i64 begin = ptr[s], count = ptr[s + 1] - begin;
    const i64 found = count ? begin + extreme_of_run<Largest>(x + begin, count) : -1;
    out[s] = count ? x[found] : T(0);
    if (where) where[s] = found;
  }
}

template <class T, class I>
void segment_extreme(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* ptr = static_cast<const I*>(a.ptr);
  T* out = static_cast<T*>(a.out);
  i64* where = static_cast<i64*>(a.out2);
  const i64 C = a.channels;
  auto run = [&](auto largest, auto wanted) {
    for_segments<I>(a, C * sizeof(T), report, [&](i64 first, i64 last) {
      if (C == 1) return extremes_of_runs<decltype(largest)::value>(x, ptr, first, last, out, where);
      for_pieces<T, 4>(C, [&](auto piece) {
        using P = decltype(piece);
        using V = typename P::V;
        for (i64 s = first; s < last; ++s) {
          const i64 begin = ptr[s], end = ptr[s + 1], at = s * C + piece.at;
          i64* w = where ? where + at : nullptr;
          if (begin == end) {
            empty_extreme<P>(out + at, w);
            continue;
          }
          V v[P::K];
          auto read = [&](i64 e) {
            for (int k = 0; k < P::K; ++k) v[k] = load<V>(x + e * C + piece.at + k * P::N);
          };
          Extreme<P, largest.value, wanted.value> extreme;
          read(begin);
          extreme.start(v);
          for (i64 e = begin + 1; e < end; ++e) read(e), extreme.take(v, e - begin);
          extreme.finish(begin, out + at, w);
        }
      });
    });
  };
  with_flags(a.largest, where != nullptr, run);
}

}  // namespace
}  // namespace topodiff
