// Outer products y x^T of rows (d, channels), contracted over the channels, one matrix per entry: the gradients of maps.
#pragma once
#include "fill.hpp"
#include "sheaf_gather.hpp"

namespace topodiff {
namespace {

// ---- sums over the lanes of many vectors at once: M vectors become M values side by side

template <int... t>
struct LaneList {};
template <int N, int... t>
struct FirstLanes : FirstLanes<N - 1, N - 1, t...> {};
template <int... t>
struct FirstLanes<0, t...> {
  using type = LaneList<t...>;
};

// Lanes H apart are added: lanes without the bit H are those of a, lanes with it those of b.
template <class T, int H, class V, int... t>
TOPODIFF_INLINE V halve(V a, V b, LaneList<t...>) {
  constexpr int W = sizeof...(t);
#ifdef __clang__
  return __builtin_shufflevector(a, b, (t & H ? W + t : t)...) + __builtin_shufflevector(a, b, (t & H ? W + t - H : t + H)...);
#else
  typedef typename IntOf<T>::type Index __attribute__((vector_size(sizeof(V))));
  return __builtin_shuffle(a, b, Index{(t & H ? W + t : t)...}) + __builtin_shuffle(a, b, Index{(t & H ? W + t - H : t + H)...});
#endif
}

// Lane t is a part of the sum of the lanes of sum[First + t % H], and H such parts make up the whole. Vectors that are
// missing at the end cost nothing.
template <class T, int First, int H, class V, int M>
TOPODIFF_INLINE V merged(const V (&sum)[M]) {
  constexpr int W = sizeof(V) / sizeof(T);
  if constexpr (H == W) return sum[First];
  else {
    const V a = merged<T, First, 2 * H>(sum);
    if constexpr (First + H < M) return halve<T, H>(a, merged<T, First + H, 2 * H>(sum), typename FirstLanes<W>::type{});
    else return halve<T, H>(a, a, typename FirstLanes<W>::type{});
  }
}

// out[m] (+)= sum of the lanes of sum[m]; out has room for a whole number of vectors.
template <class T, int First = 0, class V, int M>
TOPODIFF_INLINE void sum_lanes(const V (&sum)[M], T* out, bool fresh) {
  constexpr int W = sizeof(V) / sizeof(T);
  const V total = merged<T, First, 1>(sum);
  store(out + First, fresh ? total : total + load<V>(out + First));
  if constexpr (First + W < M) sum_lanes<T, First + W>(sum, out, fresh);
}

// ---- one entry

constexpr int kOuterTile = TOPODIFF_VECTOR_BYTES == 64 ? 4 : 3;  // 16 sums and 5 rows in 32 registers, 9 and 4 in 16
constexpr int kRoom = 16;                                        // values of a tile, whole vectors

// d rows cut evenly into tiles of at most `most`.
struct Cut {
  i64 tiles, base, larger;  // the first `larger` tiles have a row more than `base`

  Cut(i64 d, i64 most) : tiles((d + most - 1) / most), base(d / larger_of(tiles)), larger(d % larger_of(tiles)) {}
  static i64 larger_of(i64 tiles) { return tiles ? tiles : 1; }
  // f(first row, Count<rows>)
  template <int Most, class F>
  TOPODIFF_INLINE void each(F f) const {
    for (i64 n = 0, i = 0; n < tiles; ++n) {
      const i64 rows = base + (n < larger);
      if (rows == 1) f(i, Count<1>{});
      else if (rows == 2) f(i, Count<2>{});
      else if (rows == 3) f(i, Count<3>{});
      else if constexpr (Most >= 4) f(i, Count<4>{});
      i += rows;
    }
  }
};

// Rows of one or two products.
template <class T>
struct Pairs {
  const T *y[2], *x[2];
  i64 d, C;
  int count;
  const Cut& cut;
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
  sum_lanes<T>(sum, out, fresh);
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
  sum_lanes<T>(sum, out, fresh);
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
  alignas(64) T tile[kRoom];
  for_widths<TOPODIFF_VECTOR_BYTES / sizeof(T)>(0, p.C, true, [&](auto n, i64 from, i64 to, bool fresh) {
    outer_piece<R, S, decltype(n)::value>(p, i, j, from, to, tile, fresh);
  });
  for (int r = 0; r < R; ++r) __builtin_memcpy(out + (i + r) * p.d + j, tile + r * S, S * sizeof(T));
}

template <int R, class T>
void dot_tile(const Pairs<T>& p, i64 i, T* out) {
  alignas(64) T tile[kRoom];
  for_widths<TOPODIFF_VECTOR_BYTES / sizeof(T)>(0, p.C, true, [&](auto n, i64 from, i64 to, bool fresh) {
    diagonal_dot<R, decltype(n)::value>(p, i, from, to, tile, fresh);
  });
  __builtin_memcpy(out + i, tile, R * sizeof(T));
}

// The matrix (or its diagonal) of one entry; D = 0: any d.
template <int D, class T>
void full_entry(const Pairs<T>& p, T* out) {
  if constexpr (D > 0) outer_tile<D, D>(p, 0, 0, out);
  else
    p.cut.template each<kOuterTile>([&](i64 i, auto rows) {
      p.cut.template each<kOuterTile>([&](i64 j, auto columns) {
        outer_tile<decltype(rows)::value, decltype(columns)::value>(p, i, j, out);
      });
    });
}

template <int D, class T>
void diagonal_entry(const Pairs<T>& p, T* out) {
  if constexpr (D > 0) dot_tile<D>(p, 0, out);
  else p.cut.template each<4>([&](i64 i, auto rows) { dot_tile<decltype(rows)::value>(p, i, out); });
}

template <class T>
using EntryCode = void (*)(const Pairs<T>&, T*);

template <class T>
EntryCode<T> code_for(bool full, i64 d) {
  if (d == 1) return diagonal_entry<1, T>;
  if (!full) return d == 2 ? diagonal_entry<2, T> : d == 3 ? diagonal_entry<3, T> : d == 4 ? diagonal_entry<4, T> : diagonal_entry<0, T>;
  return d == 2 ? full_entry<2, T> : d == 3 ? full_entry<3, T> : d == kOuterTile ? full_entry<kOuterTile, T> : full_entry<0, T>;
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
    const Cut cut(d, full ? kOuterTile : 4);
    const EntryCode<T> code = code_for<T>(full, d);
    T* out = static_cast<T*>(a.out) + first * size;
    if (C == 0) return void(fill_zero(out, (last - first) * size));
    for (i64 e = first; e < last; ++e, out += size) {
      const I v = index_y[e * step], u = index_x[e * step];
      if (U(v) >= std::uint64_t(a.rows_y)) return report_fault(report, Fault::index_range, e, v);
      if (U(u) >= std::uint64_t(a.rows)) return report_fault(report, Fault::index_range, e, u);
      if (ahead && e + ahead < entries) prefetch(e + ahead);
      const T *yv = y + v * d * C, *xu = x + u * d * C, *xv = a.graph ? x + v * d * C : xu, *yu = a.graph ? y + u * d * C : yv;
      code(Pairs<T>{{yv, xv}, {xu, yu}, d, C, a.graph ? 2 : 1, cut}, out);
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
