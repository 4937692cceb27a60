// Products of small matrices inside a kernel, so that what comes before and after them happens in the cache.
// C = A B, with B packed into panels of one or two vectors; a tile of rows x panel lives in registers.
#pragma once
#include "simd.hpp"

namespace topodiff {
namespace {

template <class T>
constexpr int kLanes = TOPODIFF_VECTOR_BYTES / sizeof(T);
constexpr int kTileRows = TOPODIFF_VECTOR_BYTES == 64 ? 12 : 6;  // times two vectors: 24 of 32, 12 of 16 registers

// f(number of vectors, first column, columns) for every panel; the last vector may be partly filled.
template <class T, class F>
TOPODIFF_INLINE void for_panels(i64 columns, F f) {
  constexpr i64 N = kLanes<T>;
  i64 at = 0;
  for (; columns - at > N; at += 2 * N) f(Count<2>{}, at, smaller(2 * N, columns - at));
  if (at < columns) f(Count<1>{}, at, columns - at);
}

template <class T>
TOPODIFF_INLINE i64 packed_size(i64 depth, i64 columns) {
  return depth * ((columns + kLanes<T> - 1) / kLanes<T>) * kLanes<T>;
}

// B[k][c] = b[k * row_stride + c * column_stride] into panels, filled up with zeros.
template <class T>
void pack(T* out, i64 depth, i64 columns, const T* b, i64 row_stride, i64 column_stride) {
  for_panels<T>(columns, [&](auto vectors, i64 at, i64 width) {
    constexpr i64 W = decltype(vectors)::value * kLanes<T>;
    T* panel = out + at * depth;
    for (i64 k = 0; k < depth; ++k, panel += W) {
      const T* row = b + k * row_stride + at * column_stride;
      if (column_stride == 1) {
        small_pieces<T, kLanes<T>>(0, width, [&](auto piece) {
          store(panel + piece.at, load<typename decltype(piece)::V>(row + piece.at));
        });
        for (i64 c = width; c < W; ++c) panel[c] = 0;
      } else {
        for (i64 c = 0; c < W; ++c) panel[c] = c < width ? row[c * column_stride] : T(0);
      }
    }
  });
}

// Memory that is needed soon, asked for in the course of a product, while memory would be idle.
class Ahead {
 public:
  template <class T>
  void add(const T* from, i64 values) {
    begin_[ranges_] = reinterpret_cast<std::uintptr_t>(from);
    bytes_[ranges_++] = values * i64(sizeof(T));
    total_ += values * i64(sizeof(T));
  }
  // To be spread over so many tiles.
  void over(i64 tiles) { per_tile_ = total_ / larger(1, tiles) + 64; }

  // Where the next tile asks from, per_tile() bytes; null at the end.
  const char* next() {
    for (; range_ < ranges_; ++range_, at_ = 0)
      if (at_ < bytes_[range_]) {
        const std::uintptr_t here = begin_[range_] + std::uintptr_t(at_);
        at_ += per_tile_;
        return reinterpret_cast<const char*>(here);
      }
    return nullptr;
  }
  i64 per_tile() const { return per_tile_; }

 private:
  static constexpr int kRanges = 4;
  std::uintptr_t begin_[kRanges] = {};
  i64 bytes_[kRanges] = {}, total_ = 0, at_ = 0, per_tile_ = 0;
  int ranges_ = 0, range_ = 0;
};

template <class T>
TOPODIFF_INLINE i64 num_tiles(i64 rows, i64 columns) {
  return (rows / kTileRows + (rows % kTileRows != 0)) * ((columns + 2 * kLanes<T> - 1) / (2 * kLanes<T>));
}

// Where a product goes: rows of c, onto `start` (one value per column, or null), or added to what is there.
template <class T>
struct Target {
  T* c;
  i64 stride;
  const T* start = nullptr;
  bool add = false;
};

// M rows of a panel of P vectors: c[m] = start + sum over k of A[m][k] B[k]. A[m][k] = a[m * row + k * column].
// A function of its own, so that the sums stay in registers whatever surrounds it.
template <class T, int M, int P>
__attribute__((noinline)) void multiply_tile(i64 depth, const T* a, i64 row, i64 column, const T* b, Target<T> to,
                                             const char* ahead, i64 step) {
  constexpr int N = kLanes<T>;
  using V = Vec<T, N>;
  V sum[M][P] = {};
  for (i64 k = 0; k < depth; ++k, a += column, b += P * N, ahead += step) {
    __builtin_prefetch(ahead, 0, 2);
    V bk[P];
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) bk[p] = load<V>(b + p * N);
#pragma GCC unroll 12
    for (int m = 0; m < M; ++m) {
      const V am = a[m * row] - V{};  // x - 0 is x itself; 0 + x would cost an addition
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) sum[m][p] += am * bk[p];
    }
  }
#pragma GCC unroll 12
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int p = 0; p < P; ++p) {
      T* c = to.c + m * to.stride + p * N;
      if (to.start) sum[m][p] += load<V>(to.start + p * N);
      if (to.add) sum[m][p] += load<V>(c);
      store(c, sum[m][p]);
    }
}

// A tile whose last vector is not full goes through memory of full width.
template <class T, int M, int P>
void multiply_narrow_tile(i64 depth, const T* a, i64 row, i64 column, const T* b, Target<T> to, i64 width) {
  constexpr i64 W = P * kLanes<T>;
  T wide[M * W], start[W] = {};
  for (i64 n = 0; to.start && n < width; ++n) start[n] = to.start[n];
  multiply_tile<T, M, P>(depth, a, row, column, b, Target<T>{wide, W, start}, reinterpret_cast<const char*>(b), 0);
  for (i64 m = 0; m < M; ++m)
    small_pieces<T, kLanes<T>>(0, width, [&](auto piece) {
      using V = typename decltype(piece)::V;
      T* c = to.c + m * to.stride + piece.at;
      const V product = load<V>(wide + m * W + piece.at);
      store(c, to.add ? load<V>(c) + product : product);
    });
}

// The rows i.. of a panel in tiles of M rows, the rest in smaller ones.
template <class T, int M, int P>
void multiply_panel(i64 i, i64 rows, i64 depth, const T* a, i64 row, i64 column, const T* b, Target<T> to, i64 width,
                    Ahead& ahead) {
  for (; rows - i >= M; i += M) {
    const char* soon = ahead.next();
    const i64 step = soon ? ahead.per_tile() / depth + 1 : 0;
    if (!soon) soon = reinterpret_cast<const char*>(b);
    const Target<T> here{to.c + i * to.stride, to.stride, to.start, to.add};
    if (width == P * kLanes<T>) multiply_tile<T, M, P>(depth, a + i * row, row, column, b, here, soon, step);
    else multiply_narrow_tile<T, M, P>(depth, a + i * row, row, column, b, here, width);
  }
  if constexpr (M > 1) multiply_panel<T, M / 2, P>(i, rows, depth, a, row, column, b, to, width, ahead);
}

// C (rows x columns) = A (rows x depth) B (depth x columns, packed).
template <class T>
void multiply(i64 rows, i64 columns, i64 depth, const T* a, i64 row, i64 column, const T* packed, Target<T> to,
              Ahead& ahead) {
  for_panels<T>(columns, [&](auto vectors, i64 at, i64 width) {
    const Target<T> here{to.c + at, to.stride, to.start ? to.start + at : nullptr, to.add};
    multiply_panel<T, kTileRows, decltype(vectors)::value>(0, rows, depth, a, row, column, packed + at * depth, here,
                                                           width, ahead);
  });
}

}  // namespace
}  // namespace topodiff
