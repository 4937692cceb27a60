// Sums of M_e x[source(e)] over segments. The sums of a segment live in registers: a tile of stalk rows times a piece of
// the channels. Rows and maps of entries some way ahead are asked for early.
#pragma once
#include "sheaf.hpp"
#include "split.hpp"

namespace topodiff {
namespace {

constexpr i64 kRunLength = 128;  // entries of a long segment whose rows are in the second cache for all pieces
constexpr i64 kMaxTile = 8;      // stalk rows that are summed together
constexpr int kRegisters = TOPODIFF_VECTOR_BYTES == 64 ? 32 : 16;

// What is the same for all segments. Entries are asked for `ahead` entries before they are used (0: not at all).
template <class T>
struct Gather {
  const T *x, *maps;
  i64 d, C, row, map_size, ahead = 0;  // row = d * C values
  int side, plain;  // 1, 0 on a graph; else 0 and whether maps act as they are

  TOPODIFF_INLINE i64 map(Entry e) const { return e.number >> side; }
  TOPODIFF_INLINE bool acts_plainly(Entry e) const { return (int(e.number) & side) | plain; }
};

// Entries that are added to a row of out (or put there, where it is fresh).
template <class T>
struct Run {
  const Entry *begin, *end;
  T* out;
  bool fresh;
};

TOPODIFF_INLINE void prefetch_bytes(std::uintptr_t from, std::uintptr_t to) {
  for (from &= ~std::uintptr_t(63); from < to; from += 64) prefetch(from);
}

// Asks for the share of an entry's row that goes with a piece of the channels, with the first piece for its map too.
template <class T>
TOPODIFF_INLINE void prefetch_entry(const Gather<T>& g, Entry e, i64 at, i64 width) {
  const std::uintptr_t row_bytes = g.d * sizeof(T);
  const std::uintptr_t row = reinterpret_cast<std::uintptr_t>(g.x) + std::uintptr_t(e.source) * g.row * sizeof(T);
  prefetch_bytes(row + row_bytes * at, row + row_bytes * (at + width));
  const std::uintptr_t map_bytes = g.map_size * sizeof(T);
  const std::uintptr_t map = reinterpret_cast<std::uintptr_t>(g.maps) + std::uintptr_t(g.map(e)) * map_bytes;
  if (at == 0) prefetch_bytes(map, map + map_bytes);
}

// Entries side by side, each with its own sums: few sums would wait for their own additions.
template <int R, class P>
constexpr int kSideBySide = P::N < 4 ? 1 : R * P::K <= 2 ? 4 : R * P::K <= 4 ? 2 : 1;

// Sums in registers of R stalk rows from row i, K vectors of channels from `at`; add(sums, entry) for each entry, U of
// them side by side.
template <int R, int U, class P, class T, class Add>
TOPODIFF_INLINE void sum_run(const Gather<T>& g, const Run<T>& run, i64 i, i64 at, Add add) {
  using V = typename P::V;
  T* out = run.out + i * g.C + at;
  V sum[U][R][P::K] = {};
  if (!run.fresh)
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int k = 0; k < P::K; ++k) sum[0][r][k] = load<V>(out + r * g.C + k * P::N);
  const bool ahead = g.ahead && i == 0;
  const Entry* e = run.begin;
  for (; run.end - e >= U; e += U)
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
      if (ahead) prefetch_entry(g, e[u + g.ahead], at, P::K * P::N);
      add(sum[u], e[u]);
    }
  for (; U > 1 && e < run.end; ++e) {
    if (ahead) prefetch_entry(g, e[g.ahead], at, P::K * P::N);
    add(sum[0], *e);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int k = 0; k < P::K; ++k) {
      V total = sum[0][r][k];
#pragma GCC unroll 4
      for (int u = 1; u < U; ++u) total += sum[u][r][k];
      store(out + r * g.C + k * P::N, total);
    }
}

// Sums += column j of a map (rows `row` and columns `column` values apart) times row j of x.
template <int R, class P, class T>
TOPODIFF_INLINE void add_column(typename P::V (&sum)[R][P::K], const T* map, i64 row, const T* x) {
  typename P::V xs[P::K];
#pragma GCC unroll 8
  for (int k = 0; k < P::K; ++k) xs[k] = load<typename P::V>(x + k * P::N);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int k = 0; k < P::K; ++k) sum[r][k] += map[r * row] * xs[k];
}

template <int R, int D, class P, class T>
TOPODIFF_INLINE void add_product(typename P::V (&sum)[R][P::K], const T* map, i64 row, i64 column, const T* x, i64 C, i64 d) {
  if constexpr (D > 0) {
#pragma GCC unroll 8
    for (int j = 0; j < D; ++j) add_column<R, P>(sum, map + j * column, row, x + j * C);
  } else {
#pragma GCC unroll 1
    for (i64 j = 0; j < d; ++j) add_column<R, P>(sum, map + j * column, row, x + j * C);
  }
}

// Full maps: rows i .. i + R - 1 of the product. D = 0: any d. A function of its own, so that the sums stay in registers.
template <int R, int D, class P, class T>
__attribute__((noinline)) void full_piece(const Gather<T>& g, const Run<T>& run, i64 i, i64 at) {
  const i64 d = D ? D : g.d;
  sum_run<R, D ? kSideBySide<R, P> : 1, P>(g, run, i, at, [&](auto& sum, Entry e) {
    const T *x = g.x + at + e.source * g.row, *map = g.maps + g.map(e) * d * d;
    if (g.acts_plainly(e)) add_product<R, D, P>(sum, map + i * d, d, 1, x, g.C, d);
    else add_product<R, D, P>(sum, map + i, 1, d, x, g.C, d);
  });
}

template <int R, class P, class T>
__attribute__((noinline)) void diagonal_piece(const Gather<T>& g, const Run<T>& run, i64 i, i64 at) {
  using V = typename P::V;
  sum_run<R, kSideBySide<R, P>, P>(g, run, i, at, [&](auto& sum, Entry e) {
    const T *x = g.x + i * g.C + at + e.source * g.row, *map = g.maps + g.map(e) * g.d + i;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int k = 0; k < P::K; ++k) sum[r][k] += map[r] * load<V>(x + r * g.C + k * P::N);
  });
}

// Pieces of all channels, as many vectors at a time as fit into registers with R rows of sums.
template <int R, class T, class F>
TOPODIFF_INLINE void for_tile_pieces(i64 channels, F f) {
  constexpr int N = TOPODIFF_VECTOR_BYTES / sizeof(T);
  i64 at = 0;
  if constexpr (R == 1)
    for (; channels - at >= 8 * N; at += 8 * N) f(Piece<T, N, 8>{at});
  if constexpr (R * 4 + 5 <= kRegisters)
    for (; channels - at >= 4 * N; at += 4 * N) f(Piece<T, N, 4>{at});
  if constexpr (R * 2 + 3 <= kRegisters)
    for (; channels - at >= 2 * N; at += 2 * N) f(Piece<T, N, 2>{at});
  small_pieces<T, N>(at, channels, f);
}

template <int R, int D, class T>
void full_tile(const Gather<T>& g, const Run<T>& run, i64 i) {
  for_tile_pieces<R, T>(g.C, [&](auto piece) { full_piece<R, D, decltype(piece)>(g, run, i, piece.at); });
}

template <int R, class T>
void diagonal_tile(const Gather<T>& g, const Run<T>& run, i64 i) {
  for_tile_pieces<R, T>(g.C, [&](auto piece) { diagonal_piece<R, decltype(piece)>(g, run, i, piece.at); });
}

// All stalk rows, for a d that has no code of its own: tiles of 8, 4, 2, 1.
template <class T>
void full_any(const Gather<T>& g, const Run<T>& run, i64) {
  i64 i = 0;
  for (; g.d - i >= 8; i += 8) full_tile<8, 0>(g, run, i);
  if (g.d - i >= 4) full_tile<4, 0>(g, run, i), i += 4;
  if (g.d - i >= 2) full_tile<2, 0>(g, run, i), i += 2;
  if (g.d - i >= 1) full_tile<1, 0>(g, run, i);
}

template <class T>
void diagonal_any(const Gather<T>& g, const Run<T>& run, i64) {
  i64 i = 0;
  for (; g.d - i >= 8; i += 8) diagonal_tile<8>(g, run, i);
  if (g.d - i >= 4) diagonal_tile<4>(g, run, i), i += 4;
  if (g.d - i >= 2) diagonal_tile<2>(g, run, i), i += 2;
  if (g.d - i >= 1) diagonal_tile<1>(g, run, i);
}

template <class T>
using Tile = void (*)(const Gather<T>&, const Run<T>&, i64);

// The code for a kind of maps and d.
template <class T>
struct Product {
  static constexpr Tile<T> full[kMaxTile + 1] = {
      full_any<T>, diagonal_tile<1, T>, full_tile<2, 2, T>, full_tile<3, 3, T>, full_tile<4, 4, T>,
      full_tile<5, 5, T>, full_tile<6, 6, T>, full_tile<7, 7, T>, full_tile<8, 8, T>};
  static constexpr Tile<T> diagonal[kMaxTile + 1] = {
      diagonal_any<T>, diagonal_tile<1, T>, diagonal_tile<2, T>, diagonal_tile<3, T>, diagonal_tile<4, T>,
      diagonal_tile<5, T>, diagonal_tile<6, T>, diagonal_tile<7, T>, diagonal_tile<8, T>};

  Gather<T> gather;
  Tile<T> tile = nullptr;

  Product(const SheafArgs& a, int kind, const void* maps) {
    const bool scalar = kind == kScalar;  // one stalk row of d * channels
    gather.x = static_cast<const T*>(a.x), gather.maps = static_cast<const T*>(maps);
    gather.d = scalar ? 1 : a.d, gather.C = scalar ? a.d * a.channels : a.channels;
    gather.row = a.d * a.channels;
    gather.map_size = kind >= kFull ? a.d * a.d : gather.d;
    gather.side = 0, gather.plain = kind != kTransposed;
    const i64 code = gather.d <= kMaxTile ? gather.d : 0;
    if (kind != kNoMap) tile = kind >= kFull ? full[code] : diagonal[code];
  }
  TOPODIFF_INLINE void operator()(const Run<T>& run) const { tile(gather, run, 0); }
};

// How far ahead: enough to cover the latency of memory, few enough to stay in the second cache.
TOPODIFF_INLINE i64 entries_ahead(i64 bytes) { return larger(4, smaller(32, 16384 / larger(1, bytes))); }

template <class T, class I>
struct SegmentWalk {
  const SheafArgs& a;
  const Product<T>&product, &diagonal;

  void run(i64 first, i64 last, Report* report) const {
    const I* ptr = static_cast<const I*>(a.ptr);
    for (i64 s = first; s < last; ++s) {
      const i64 begin = ptr[s], end = ptr[s + 1];
      if (begin > end || begin < 0 || end > a.nnz) return report_fault(report, Fault::ptr_falls, s + 1, end);
      T* out = static_cast<T*>(a.out) + s * a.d * a.channels;
      bool fresh = !start(s, out);
      if (fresh && begin == end) zero_rows(out, 0, 1, a.d * a.channels);
      for (i64 at = begin; at < end; at += kRunLength, fresh = false)
        product(Run<T>{a.entries + at, a.entries + smaller(end, at + kRunLength), out, fresh});
    }
  }

  // out = D_s x[s]; false where there is no diagonal.
  TOPODIFF_INLINE bool start(i64 s, T* out) const {
    if (a.diagonal_kind == kNoMap) return false;
    const Entry own = {std::uint32_t(s), std::uint32_t(s)};
    diagonal(Run<T>{&own, &own + 1, out, true});
    return true;
  }
};

template <class T, class I>
void sheaf_gather(const SheafArgs& a, Report* report) {
  if (!ptr_ends_right<I>(a, report)) return;
  if (a.d * a.channels == 0) return;
  Product<T> product(a, a.kind, a.maps);
  const Product<T> diagonal(a, a.diagonal_kind, a.diagonal);
  if (a.graph) product.gather.side = 1, product.gather.plain = 0;
  const i64 row_bytes = a.d * a.channels * sizeof(T), bytes = row_bytes + product.gather.map_size * sizeof(T);
  if (a.rows * row_bytes + a.nnz * product.gather.map_size * i64(sizeof(T)) > (1 << 20))
    product.gather.ahead = entries_ahead(bytes);
  const int threads = threads_for(a, (a.nnz + a.segments) * a.channels * product.gather.map_size);
  const SegmentWalk<T, I> walk{a, product, diagonal};
  const I* ptr = static_cast<const I*>(a.ptr);
  parallel(threads, threads == 1 ? 1 : 4 * threads, [&](i64 part, i64 parts) {
    const i64 first = part == 0 ? 0 : first_segment(ptr, a.segments, a.nnz, part, parts);
    const i64 last = part + 1 == parts ? a.segments : first_segment(ptr, a.segments, a.nnz, part + 1, parts);
    // where ptr falls, parts may miss segments: then one part at least ends before it begins
    if (first > last) return report_fault(report, Fault::ptr_falls, last, ptr[last]);
    walk.run(first, last, report);
  });
}

}  // namespace
}  // namespace topodiff
