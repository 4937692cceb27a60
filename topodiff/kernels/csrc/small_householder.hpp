// Products of Householder reflections H(v) = I - 2 v v^T / |v|^2 from their vectors (0, ..., 0, 1, p, ..., p).
#pragma once
#include "small_lanes.hpp"

namespace topodiff {
namespace {

// The vectors of H_0 ... H_{d-2}: vector k has d - k entries, scaled so that the largest is 1.
template <class T, int D>
struct Reflections {
  using V = LanesOf<T>;
  static constexpr int kMax = LaneMatrix<T, D>::kMax;
  const int dim;
  V params[kMax * (kMax - 1) / 2];
  V vectors[kMax * (kMax + 1) / 2], scale[kMax], beta[kMax];  // beta = 2 / |v|^2

  TOPODIFF_INLINE Reflections(int dim_, const T* rows, int count) : dim(D ? D : dim_) {
    const int d = size();
    load_lanes<T>(rows, num_params(d), count, params);
    for (int k = 0; k < d - 1; ++k) {
      const V* p = params + start(k) - k;
      V *v = vector(k), largest = fill<V>(T(1));
      for (int i = 1; i < d - k; ++i) {
        const V size = p[i - 1] < V{} ? -p[i - 1] : p[i - 1];
        largest = size > largest ? size : largest;
      }
      v[0] = T(1) / largest;
      V square = v[0] * v[0];
      for (int i = 1; i < d - k; ++i) v[i] = p[i - 1] / largest, square += v[i] * v[i];
      scale[k] = largest, beta[k] = T(2) / square;
    }
  }
  TOPODIFF_INLINE int size() const { return D ? D : dim; }
  // of vector k among the vectors; k less among the parameters
  TOPODIFF_INLINE int start(int k) const { return k * (2 * size() - k + 1) / 2; }
  TOPODIFF_INLINE V* vector(int k) { return vectors + start(k); }

  // H_0 ... H_{d-2}, from the last factor to the first, each on the block it changes.
  TOPODIFF_INLINE void multiply(LaneMatrix<T, D>& m) {
    const int d = size();
    m(d - 1, d - 1) = fill<V>(T(1));
    for (int k = d - 2; k >= 0; --k) {
      const V* v = vector(k);
      const V scaled = beta[k] * v[0];
      m(k, k) = T(1) - scaled * v[0];
      for (int i = k + 1; i < d; ++i) m(i, k) = -scaled * v[i - k];
      for (int j = k + 1; j < d; ++j) {
        V t = v[1] * m(k + 1, j);
        for (int i = k + 2; i < d; ++i) t += v[i - k] * m(i, j);
        t *= beta[k];
        m(k, j) = -v[0] * t;
        for (int i = k + 1; i < d; ++i) m(i, j) -= v[i - k] * t;
      }
    }
  }

  // x <- H_k x in columns k and up; products[j] = v . (column j of x) before.
  TOPODIFF_INLINE void reflect(int k, LaneMatrix<T, D>& x, V* products) {
    const int d = size();
    const V* v = vector(k);
    for (int j = k; j < d; ++j) {
      V t = v[0] * x(k, j);
      for (int i = k + 1; i < d; ++i) t += v[i - k] * x(i, j);
      products[j] = t;
      t *= beta[k];
      for (int i = k; i < d; ++i) x(i, j) -= v[i - k] * t;
    }
  }
};

// Signs that make determinant +1 and the identity at zero (rotation), or reflect the last coordinate.
template <class T, int D>
TOPODIFF_INLINE void flip_columns(LaneMatrix<T, D>& m, bool rotation) {
  const int d = m.size();
  for (int i = 0; i < d; ++i)
    for (int j = 0; j < d; ++j)
      if (rotation == (j < d - 1)) m(i, j) = -m(i, j);
}

template <class T, int D>
void householder_lanes(const SmallArgs& a, i64 first, int count) {
  const int d = D ? D : a.dim;
  Reflections<T, D> factors(d, static_cast<const T*>(a.a) + first * num_params(d), count);
  LaneMatrix<T, D> m(d);
  factors.multiply(m);
  polish(m);
  flip_columns(m, a.rotation);
  store_lanes<T>(m.values, d * d, count, static_cast<T*>(a.out) + first * d * d);
}

// With P_k = H_k ... H_{d-2} and its gradient G_k: G_{k+1} = H_k G_k, and that of H_k is W = G_k P_{k+1}^T. Then
// dL/dv = beta^2 (v . W v) v - beta (W + W^T) v. No gradient passes through the polish, which changes rounding alone.
template <class T, int D>
void householder_backward_lanes(const SmallArgs& a, i64 first, int count) {
  using V = LanesOf<T>;
  const int d = D ? D : a.dim;
  constexpr int kMax = LaneMatrix<T, D>::kMax;
  Reflections<T, D> factors(d, static_cast<const T*>(a.a) + first * num_params(d), count);
  LaneMatrix<T, D> p(d), g(d);
  load_lanes<T>(static_cast<const T*>(a.b) + first * d * d, d * d, count, g.values);
  flip_columns(g, a.rotation);
  factors.multiply(p);
  V out[kMax * (kMax - 1) / 2], pv[kMax], gv[kMax], half[kMax];
  for (int k = 0; k < d - 1; ++k) {
    const V *v = factors.vector(k), beta = factors.beta[k];
    factors.reflect(k, p, pv);
    for (int i = k; i < d; ++i) {  // W v = G P_{k+1}^T v = -G P_k^T v
      V t = V{};
      for (int j = k; j < d; ++j) t -= g(i, j) * pv[j];
      half[i] = t;
    }
    factors.reflect(k, g, gv);
    V inner = V{};
    for (int i = k; i < d; ++i) inner += v[i - k] * half[i];
    inner *= beta * beta;
    V* target = out + factors.start(k) - k;
    for (int i = k + 1; i < d; ++i) {
      V sum = half[i];
      for (int j = k; j < d; ++j) sum += p(i, j) * gv[j];
      target[i - k - 1] = (inner * v[i - k] - beta * sum) / factors.scale[k];
    }
  }
  store_lanes<T>(out, num_params(d), count, static_cast<T*>(a.out) + first * num_params(d));
}

template <class T>
void householder(const SmallArgs& a) {
  with_dimension(a.dim, [&](auto d) {
    for_lanes<T>(a, [&](i64 first, int count) { householder_lanes<T, d.value>(a, first, count); });
  });
}

template <class T>
void householder_backward(const SmallArgs& a) {
  with_dimension(a.dim, [&](auto d) {
    for_lanes<T>(a, [&](i64 first, int count) { householder_backward_lanes<T, d.value>(a, first, count); });
  });
}

}  // namespace
}  // namespace topodiff
