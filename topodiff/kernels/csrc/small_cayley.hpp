// The Cayley transform R = (I - B)^-1 (I + B) of skew matrices B = A / 2.
#pragma once
#include "small_lanes.hpp"
#include "small_quaternion.hpp"
#include "vector_math.hpp"

namespace topodiff {
namespace {

// Squares of parameters of the closed forms must not overflow. The solve loses |A| eps, which the polish needs small.
template <class T>
TOPODIFF_INLINE T cayley_bound(int d) {
  return d <= 4 ? T(1e15) : sizeof(T) == 8 ? T(1e6) : T(1e3);
}

template <class T>
TOPODIFF_INLINE void cayley_closed(const LanesOf<T>* half, LaneMatrix<T, 2>& m) {
  using V = LanesOf<T>;
  const V one = fill<V>(T(1)), largest = bigger(half[0], one);
  const V c = one / largest, s = half[0] / largest, norm = c * c + s * s;
  m(0, 0) = m(1, 1) = (c * c - s * s) / norm;
  m(1, 0) = T(2) * c * s / norm, m(0, 1) = -m(1, 0);
}

template <class T>
TOPODIFF_INLINE void cayley_closed(const LanesOf<T>* half, LaneMatrix<T, 3>& m) {
  Quaternion<T> q{fill<LanesOf<T>>(T(1)), half[2], -half[1], half[0]};
  q.scale_down();
  space_rotation(q, m);
}

// Angles atan(|a| + |b|) and atan(|a| - |b|), added and subtracted: the quaternions are equally long.
template <class T>
TOPODIFF_INLINE void cayley_closed(const LanesOf<T>* half, LaneMatrix<T, 4>& m) {
  using V = LanesOf<T>;
  Quaternion<T> a = split_left<T>(half), b = split_right<T>(half);
  const V product = (a.square() - b.square()) * T(0.25);
  a.w = T(1) - product, b.w = T(1) + product;
  const V largest = bigger(a.largest(), b.largest());
  a.divide(largest), b.divide(largest);
  pair_rotation(a, b, m);
}

// Solves M X = M^T for M = I - B by Householder triangulation. No singular value of M is below 1.
template <class T>
TOPODIFF_INLINE void cayley_solve(const LanesOf<T>* half, LaneMatrix<T, 0>& result) {
  using V = LanesOf<T>;
  const int d = result.size();
  LaneMatrix<T, 0> m(d), x(d);
  for (int i = 0, at = 0; i < d; ++i) {
    m(i, i) = x(i, i) = fill<V>(T(1));
    for (int j = 0; j < i; ++j, ++at) m(i, j) = x(j, i) = -half[at], m(j, i) = x(i, j) = half[at];
  }
  const auto reflect = [&](LaneMatrix<T, 0>& y, const V* v, V beta, int k, int j) {
    V t = v[k] * y(k, j);
    for (int i = k + 1; i < d; ++i) t += v[i] * y(i, j);
    t *= beta;
    for (int i = k; i < d; ++i) y(i, j) -= v[i] * t;
  };
  for (int k = 0; k < d; ++k) {
    V v[kMaxRotation], square = V{};
    for (int i = k; i < d; ++i) v[i] = m(i, k), square += v[i] * v[i];
    const V length = root<T>(square), beta = T(1) / (square + absolute(v[k]) * length);
    const V pivot = v[k] < V{} ? length : -length;
    v[k] -= pivot, m(k, k) = pivot;
    for (int j = k + 1; j < d; ++j) reflect(m, v, beta, k, j);
    for (int j = 0; j < d; ++j) reflect(x, v, beta, k, j);
  }
  for (int j = 0; j < d; ++j)
    for (int i = d - 1; i >= 0; --i) {
      V sum = x(i, j);
      for (int k = i + 1; k < d; ++k) sum -= m(i, k) * result(k, j);
      result(i, j) = sum / m(i, i);
    }
  polish(result), polish(result);
}

template <class T, int D>
void cayley_lanes(const SmallArgs& a, i64 first, int count) {
  using V = LanesOf<T>;
  const int d = D ? D : a.dim, width = num_params(d);
  const T bound = cayley_bound<T>(d);
  LaneMatrix<T, D> m(d);
  V half[LaneMatrix<T, D>::kMax * (LaneMatrix<T, D>::kMax - 1) / 2];
  load_lanes<T>(static_cast<const T*>(a.a) + first * width, width, count, half);
  for (int c = 0; c < width; ++c) half[c] = clamp<V, T>(half[c], -bound, bound) * T(0.5);
  if constexpr (D == 0) cayley_solve<T>(half, m);
  else cayley_closed<T>(half, m);
  store_lanes<T>(m.values, d * d, count, static_cast<T*>(a.out) + first * d * d);
}

// (I - B)^-1 = (I + R) / 2, so that the gradient of A is K^T G K^T / 4 with K = I + R.
template <class T, int D>
void cayley_backward_lanes(const SmallArgs& a, i64 first, int count) {
  using V = LanesOf<T>;
  const int d = D ? D : a.dim, width = num_params(d);
  LaneMatrix<T, D> k(d), g(d), half(d);
  load_lanes<T>(static_cast<const T*>(a.a) + first * d * d, d * d, count, k.values);
  load_lanes<T>(static_cast<const T*>(a.b) + first * d * d, d * d, count, g.values);
  for (int i = 0; i < d; ++i) k(i, i) += T(1);
  for (int i = 0; i < d; ++i)
    for (int j = 0; j < d; ++j) {
      half(i, j) = k(0, i) * g(0, j);
      for (int l = 1; l < d; ++l) half(i, j) += k(l, i) * g(l, j);
    }
  V params[LaneMatrix<T, D>::kMax * (LaneMatrix<T, D>::kMax - 1) / 2];
  load_lanes<T>(static_cast<const T*>(a.c) + first * width, width, count, params);
  const V bound = fill<V>(cayley_bound<T>(d));
  for (int i = 0, at = 0; i < d; ++i)
    for (int j = 0; j < i; ++j, ++at) {
      V sum = V{};
      for (int l = 0; l < d; ++l) sum += half(i, l) * k(j, l) - half(j, l) * k(i, l);
      params[at] = absolute(params[at]) <= bound ? sum * T(0.25) : V{};
    }
  store_lanes<T>(params, width, count, static_cast<T*>(a.out) + first * width);
}

template <class T>
void cayley(const SmallArgs& a) {
  with_dimension(a.dim, [&](auto d) {
    for_lanes<T>(a, [&](i64 first, int count) { cayley_lanes<T, d.value>(a, first, count); });
  });
}

template <class T>
void cayley_backward(const SmallArgs& a) {
  with_dimension(a.dim, [&](auto d) {
    for_lanes<T>(a, [&](i64 first, int count) { cayley_backward_lanes<T, d.value>(a, first, count); });
  });
}

}  // namespace
}  // namespace topodiff
