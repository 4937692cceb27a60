// Outer products y x^T of rows (d, channels), contracted over the channels, one matrix per entry: the gradients of maps.
#pragma once
#include "sheaf_gather.hpp"

namespace topodiff {
namespace {

// ---- sums over the lanes of many vectors at once: M vectors become M values side by side

template <class V, class T>
constexpr int lanes_in_128 = sizeof(V) < 16 ? sizeof(V) / sizeof(T) : 16 / sizeof(T);

// One step: segments of L lanes of a and b are halved, the halves added. Across groups of 128 bits the segments of a
// come first, then those of b; within groups each group has first those of a, then those of b.
template <class V, class T, int L>
TOPODIFF_INLINE V halve(V a, V b) {
  constexpr int W = sizeof(V) / sizeof(T), G = lanes_in_128<V, T>, S = L > G ? W : G, H = L / 2;
  typedef typename IntOf<T>::type Index __attribute__((vector_size(sizeof(V))));
  Index low = {};
  for (int t = 0; t < W; ++t) {
    const int group = t / S * S, segment = t % S / H, of_b = segment >= S / L;
    low[t] = of_b * W + group + (segment - of_b * (S / L)) * L + t % H;
  }
#ifdef __clang__
  V first = {}, second = {};
  for (int t = 0; t < W; ++t) {
    first[t] = low[t] < W ? a[low[t]] : b[low[t] - W];
    second[t] = low[t] + H < W ? a[low[t] + H] : b[low[t] + H - W];
  }
  return first + second;
#else
  return __builtin_shuffle(a, b, low) + __builtin_shuffle(a, b, low + H);
#endif
}

// The sums of `sum[first + step * i]`, i < Count, as segments of W / Count lanes, in groups as above.
template <int M, class V, class T, int L, int First, int Step, int Many>
TOPODIFF_INLINE V merged(const V (&sum)[M]) {
  if constexpr (Many == 1) return sum[First < M ? First : M - 1];
  else {
    const V a = merged<M, V, T, 2 * L, First, Step, Many / 2>(sum);
    const V b = merged<M, V, T, 2 * L, First + Step * (Many / 2), Step, Many / 2>(sum);
    return halve<V, T, 2 * L>(a, b);
  }
}

// Segments of G lanes of the vectors First + g, g < Many, become single lanes.
template <int M, class V, class T, int L, int First, int Many>
TOPODIFF_INLINE V merged_groups(const V (&sum)[M]) {
  constexpr int W = sizeof(V) / sizeof(T), G = lanes_in_128<V, T>;
  if constexpr (Many == 1) return merged<M, V, T, G, First, G, W / G>(sum);
  else {
    const V a = merged_groups<M, V, T, 2 * L, First, Many / 2>(sum);
    const V b = merged_groups<M, V, T, 2 * L, First + Many / 2, Many / 2>(sum);
    return halve<V, T, 2 * L>(a, b);
  }
}

// out[m] (+)= sum of the lanes of sum[m]; out has room for a whole number of vectors.
template <class V, class T, int M, int First = 0>
TOPODIFF_INLINE void sum_lanes(const V (&sum)[M], T* out, bool fresh) {
  constexpr int W = sizeof(V) / sizeof(T), G = lanes_in_128<V, T>;
  const V total = merged_groups<M, V, T, 1, First, G>(sum);
  store(out + First, fresh ? total : total + load<V>(out + First));
  if constexpr (First + W < M) sum_lanes<V, T, M, First + W>(sum, out, fresh);
}

// ---- one entry

constexpr int kOuterTile = TOPODIFF_VECTOR_BYTES == 64 ? 4 : 3;  // 16 sums and 5 rows in 32 registers, 9 and 4 in 16
constexpr int kRoom = 16;                                        // values of a tile, whole vectors

// Rows of one or two products.
template <class T>
struct Pairs {
  const T *y[2], *x[2];
  i64 d, C;
  int count;
};

// Sums of channels from .. to - 1 in steps of N: rows i .. of y by rows j .. of x.
template <int R, int S, int N, class T>
__attribute__((noinline)) void outer_piece(const Pairs<T>& p, i64 i, i64 j, i64 from, i64 to, T* out, bool fresh) {
  using V = Vec<T, N>;
  V sum[R * S] = {};
  for (int n = 0; n < p.count; ++n) {
    const T *y = p.y[n] + i * p.C, *x = p.x[n] + j * p.C;
    for (i64 c = from; c < to; c += N) {
      V xs[S];
#pragma GCC unroll 8
      for (int s = 0; s < S; ++s) xs[s] = load<V>(x + s * p.C + c);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const V yr = load<V>(y + r * p.C + c);
#pragma GCC unroll 8
        for (int s = 0; s < S; ++s) sum[r * S + s] += yr * xs[s];
      }
    }
  }
  sum_lanes<V, T>(sum, out, fresh);
}

// Rows i .. of y times the same rows of x, channel by channel; one row is summed in several sums.
template <int R, int N, class T>
__attribute__((noinline)) void diagonal_dot(const Pairs<T>& p, i64 i, i64 from, i64 to, T* out, bool fresh) {
  using V = Vec<T, N>;
  constexpr int U = R == 1 ? 4 : 1;
  V sum[R] = {};
  for (int n = 0; n < p.count; ++n) {
    const T *y = p.y[n] + i * p.C, *x = p.x[n] + i * p.C;
    V part[U] = {};
    i64 c = from;
    for (; U > 1 && c + U * N <= to; c += U * N)
      for (int u = 0; u < U; ++u) part[u] += load<V>(y + c + u * N) * load<V>(x + c + u * N);
    for (; c < to; c += N)
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sum[r] += load<V>(y + r * p.C + c) * load<V>(x + r * p.C + c);
    for (int u = 0; U > 1 && u < U; ++u) sum[0] += part[u];
  }
  sum_lanes<V, T>(sum, out, fresh);
}

// f(width, from, to, fresh) for whole vectors, then for the odd rest in halves.
template <int N, class F>
TOPODIFF_INLINE void for_widths(i64 from, i64 channels, bool fresh, F f) {
  const i64 to = from + (channels - from) / N * N;
  if (to > from) f(Count<N>{}, from, to, fresh), fresh = false;
  if constexpr (N > 1) for_widths<N / 2>(to, channels, fresh, f);
}

template <int R, int S, class T>
void outer_tile(const Pairs<T>& p, i64 i, i64 j, T* out) {
  alignas(64) T tile[kRoom] = {};
  for_widths<TOPODIFF_VECTOR_BYTES / sizeof(T)>(0, p.C, true, [&](auto n, i64 from, i64 to, bool fresh) {
    outer_piece<R, S, decltype(n)::value>(p, i, j, from, to, tile, fresh);
  });
  for (int r = 0; r < R; ++r) __builtin_memcpy(out + (i + r) * p.d + j, tile + r * S, S * sizeof(T));
}

template <int R, class T>
void dot_tile(const Pairs<T>& p, i64 i, T* out) {
  alignas(64) T tile[kRoom] = {};
  for_widths<TOPODIFF_VECTOR_BYTES / sizeof(T)>(0, p.C, true, [&](auto n, i64 from, i64 to, bool fresh) {
    diagonal_dot<R, decltype(n)::value>(p, i, from, to, tile, fresh);
  });
  __builtin_memcpy(out + i, tile, R * sizeof(T));
}

// f(first, Count<rows>) for tiles that cut d evenly.
template <int Max, class F>
TOPODIFF_INLINE void for_tiles(i64 d, F f) {
  const i64 tiles = (d + Max - 1) / Max;
  for (i64 n = 0; n < tiles; ++n) {
    const i64 i = d * n / tiles, rows = d * (n + 1) / tiles - i;
    if (rows == 1) f(i, Count<1>{});
    else if (rows == 2) f(i, Count<2>{});
    else if (rows == 3) f(i, Count<3>{});
    else if constexpr (Max >= 4) f(i, Count<4>{});
  }
}

template <class T>
TOPODIFF_INLINE void outer_entry(const Pairs<T>& p, bool full, T* out) {
  if (!full)
    return for_tiles<4>(p.d, [&](i64 i, auto rows) { dot_tile<decltype(rows)::value>(p, i, out); });
  for_tiles<kOuterTile>(p.d, [&](i64 i, auto rows) {
    for_tiles<kOuterTile>(p.d, [&](i64 j, auto columns) {
      outer_tile<decltype(rows)::value, decltype(columns)::value>(p, i, j, out);
    });
  });
}

// ---- all entries

template <class T, class I>
struct OuterWalk {
  const SheafArgs& a;
  const I *index_y, *index_x;
  i64 step, d, C, ahead;

  OuterWalk(const SheafArgs& a)
      : a(a), index_y(static_cast<const I*>(a.index_y)), index_x(static_cast<const I*>(a.index)), step(1), d(a.d), C(a.channels) {
    if (a.graph) index_y = index_x + 1, step = 2;
    if (a.kind == kScalar) d = 1, C = a.d * a.channels;
    const i64 bytes = (a.graph ? 2 : 1) * d * C * sizeof(T);
    ahead = bytes * (a.rows + a.rows_y) > (1 << 20) ? entries_ahead(bytes) : 0;
  }

  TOPODIFF_INLINE void prefetch(i64 e) const {
    const std::uintptr_t bytes = d * C * sizeof(T);
    const std::uintptr_t v = std::uintptr_t(index_y[e * step]) * bytes, u = std::uintptr_t(index_x[e * step]) * bytes;
    const std::uintptr_t y = reinterpret_cast<std::uintptr_t>(a.y), x = reinterpret_cast<std::uintptr_t>(a.x);
    prefetch_bytes(y + v, y + v + bytes);
    prefetch_bytes(x + u, x + u + bytes);
    if (!a.graph) return;
    prefetch_bytes(x + v, x + v + bytes);
    prefetch_bytes(y + u, y + u + bytes);
  }

  TOPODIFF_INLINE void run(i64 first, i64 last, i64 entries, Report* report) const {
    using U = typename UnsignedOf<I>::type;
    const T *y = static_cast<const T*>(a.y), *x = static_cast<const T*>(a.x);
    const bool full = a.kind >= kFull;
    const i64 size = full ? d * d : d;
    for (i64 e = first; e < last; ++e) {
      const I v = index_y[e * step], u = index_x[e * step];
      if (U(v) >= std::uint64_t(a.rows_y)) return report_fault(report, Fault::index_range, e, v);
      if (U(u) >= std::uint64_t(a.rows)) return report_fault(report, Fault::index_range, e, u);
      if (ahead && e + ahead < entries) prefetch(e + ahead);
      const T *yv = y + v * d * C, *xu = x + u * d * C, *xv = a.graph ? x + v * d * C : xu, *yu = a.graph ? y + u * d * C : yv;
      outer_entry(Pairs<T>{{yv, xv}, {xu, yu}, d, C, a.graph ? 2 : 1}, full, static_cast<T*>(a.out) + e * size);
    }
  }
};

template <class T, class I>
void sheaf_outer(const SheafArgs& a, Report* report) {
  const OuterWalk<T, I> walk(a);
  const i64 entries = a.graph ? a.nnz / 2 : a.nnz;
  const int threads = threads_for(a, 2 * entries * a.channels * a.d * a.d);
  parallel(threads, threads, [&](i64 part, i64 parts) {
    walk.run(entries * part / parts, entries * (part + 1) / parts, entries, report);
  });
}

}  // namespace
}  // namespace topodiff
