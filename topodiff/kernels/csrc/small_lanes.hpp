// As many small matrices at a time as a vector has lanes: entry (i, j) of all of them is one vector.
#pragma once
#include "small.hpp"
#include "split.hpp"

namespace topodiff {
namespace {

template <class T>
constexpr int kLanes = TOPODIFF_VECTOR_BYTES / sizeof(T);
template <class T>
using LanesOf = Vec<T, kLanes<T>>;

TOPODIFF_INLINE int num_params(int d) { return d * (d - 1) / 2; }

// `width` values of each of `count` rows into vectors; lanes without a row hold zeros.
template <class T>
TOPODIFF_INLINE void load_lanes(const T* rows, int width, int count, LanesOf<T>* out) {
  constexpr int N = kLanes<T>;
  if (count == N) {
    for (int c = 0; c < width; ++c)
#pragma GCC unroll 16
      for (int l = 0; l < N; ++l) out[c][l] = rows[l * width + c];
    return;
  }
  for (int c = 0; c < width; ++c) {
    out[c] = LanesOf<T>{};
    for (int l = 0; l < count; ++l) out[c][l] = rows[l * width + c];
  }
}

template <class T>
TOPODIFF_INLINE void store_lanes(const LanesOf<T>* values, int width, int count, T* rows) {
  for (int l = 0; l < count; ++l)
    for (int c = 0; c < width; ++c) rows[l * width + c] = values[c][l];
}

// f(first, count) on every group of matrices, in parallel.
template <class T, class F>
TOPODIFF_INLINE void for_lanes(const SmallArgs& a, F f) {
  constexpr i64 N = kLanes<T>;
  const i64 groups = (a.n + N - 1) / N;
  const int threads = int(larger(1, smaller(a.threads, a.n * a.dim * a.dim / (kValuesPerThread / 4))));
  parallel(threads, threads, [&](i64 part, i64 parts) {
    for (i64 g = groups * part / parts; g < groups * (part + 1) / parts; ++g)
      f(g * N, int(smaller(N, a.n - g * N)));
  });
}

template <class T>
TOPODIFF_INLINE LanesOf<T> root(LanesOf<T> x) {
  for (int l = 0; l < kLanes<T>; ++l) x[l] = T(__builtin_sqrt(x[l]));
  return x;
}

// A square matrix in every lane. D = 0: of `dim` rows, known at run time only.
template <class T, int D>
struct LaneMatrix {
  using V = LanesOf<T>;
  static constexpr int kMax = D ? D : kMaxRotation;
  const int dim;
  V values[kMax * kMax];

  TOPODIFF_INLINE explicit LaneMatrix(int dim_) : dim(D ? D : dim_) {}
  TOPODIFF_INLINE int size() const { return D ? D : dim; }
  TOPODIFF_INLINE V& operator()(int i, int j) { return values[i * size() + j]; }
  TOPODIFF_INLINE const V& operator()(int i, int j) const { return values[i * size() + j]; }
};

// R <- R (3 I - R^T R) / 2, a Newton-Schulz step towards the nearest orthogonal matrix: an error e becomes about e^2.
template <class T, int D>
TOPODIFF_INLINE void polish(LaneMatrix<T, D>& r) {
  using V = LanesOf<T>;
  const int d = r.size();
  LaneMatrix<T, D> s(d);
  for (int i = 0; i < d; ++i)
    for (int j = 0; j <= i; ++j) {
      V sum = V{};
      for (int k = 0; k < d; ++k) sum += r(k, i) * r(k, j);
      s(i, j) = s(j, i) = (i == j ? T(1.5) : T(0)) - T(0.5) * sum;
    }
  V row[LaneMatrix<T, D>::kMax];
  for (int i = 0; i < d; ++i) {
    for (int j = 0; j < d; ++j) {
      row[j] = r(i, 0) * s(0, j);
      for (int k = 1; k < d; ++k) row[j] += r(i, k) * s(k, j);
    }
    for (int j = 0; j < d; ++j) r(i, j) = row[j];
  }
}

// Calls f with the dimension as a constant where that pays, otherwise with 0.
template <class F>
TOPODIFF_INLINE void with_dimension(int dim, F f) {
  if (dim == 2) f(Count<2>{});
  else if (dim == 3) f(Count<3>{});
  else if (dim == 4) f(Count<4>{});
  else f(Count<0>{});
}

}  // namespace
}  // namespace topodiff
