// exp(A) of skew matrices A of three and four dimensions, by unit quaternions.
#pragma once
#include "small_lanes.hpp"
#include "small_quaternion.hpp"
#include "vector_math.hpp"
#include "vector_trigonometry.hpp"

namespace topodiff {
namespace {

constexpr double kExponentialBound = 1000;  // parameters are clamped to it

// exp(v) of imaginary v: (cos |v|, v sin |v| / |v|), with what its gradient needs.
template <class T>
struct QuaternionExponential {
  using V = LanesOf<T>;
  Quaternion<T> v, q;
  V sinc, slope;  // sin t / t and its derivative over t, t = |v|

  TOPODIFF_INLINE explicit QuaternionExponential(const Quaternion<T>& imaginary) : v(imaginary) {
    const V square = v.square(), angle = root<T>(square);
    const auto small = square < fill<V>(T(0.25));
    const V divisor = small ? fill<V>(T(1)) : square;
    V sine, cosine;
    sin_cos<V, T>(angle, sine, cosine);
    sinc = small ? trigonometric_series<V, T>(square, 1) : sine * angle / divisor;
    slope = small ? slope_series(square) : (cosine - sinc) / divisor;
    q = {cosine, sinc * v.x, sinc * v.y, sinc * v.z};
  }

  // sum over k >= 1 of (-1)^k 2 k / (2 k + 1)! t^(2 k - 2)
  TOPODIFF_INLINE static V slope_series(V square) {
    V sum = fill<V>(T(1));
    for (int k = 9; k > 1; --k) sum = T(1) - square * sum * (T(1) / T((2 * k + 1) * (2 * k - 2)));
    return sum * (T(-1) / T(3));
  }

  // The gradient of v from that of q.
  TOPODIFF_INLINE Quaternion<T> backward(const Quaternion<T>& g) const {
    const V along = slope * (v.x * g.x + v.y * g.y + v.z * g.z) - sinc * g.w;
    return {V{}, sinc * g.x + along * v.x, sinc * g.y + along * v.y, sinc * g.z + along * v.z};
  }
};

// Parameters of one group, clamped and halved, as they were and as one (d = 3) or two imaginary quaternions.
template <class T, int D>
struct SkewParams {
  using V = LanesOf<T>;
  static constexpr int kWidth = D * (D - 1) / 2;
  V given[kWidth], half[kWidth];

  TOPODIFF_INLINE SkewParams(const T* rows, int count) {
    load_lanes<T>(rows, kWidth, count, given);
    const T bound = T(kExponentialBound);
    for (int c = 0; c < kWidth; ++c) half[c] = clamp<V, T>(given[c], -bound, bound) * T(0.5);
  }
  TOPODIFF_INLINE Quaternion<T> axis() const { return {V{}, half[2], -half[1], half[0]}; }
  TOPODIFF_INLINE Quaternion<T> left() const { return split_left<T>(half); }
  TOPODIFF_INLINE Quaternion<T> right() const { return split_right<T>(half); }

  // Halves gradients, zeroes those of clamped parameters and stores them.
  TOPODIFF_INLINE void store_gradient(V* gradient, int count, T* rows) const {
    const V bound = fill<V>(T(kExponentialBound));
    for (int c = 0; c < kWidth; ++c) gradient[c] = absolute(given[c]) <= bound ? gradient[c] * T(0.5) : V{};
    store_lanes<T>(gradient, kWidth, count, rows);
  }
};

template <class T, int D>
void exponential_lanes(const SmallArgs& a, i64 first, int count) {
  const SkewParams<T, D> params(static_cast<const T*>(a.a) + first * params.kWidth, count);
  LaneMatrix<T, D> m(D);
  if constexpr (D == 3) {
    space_rotation(QuaternionExponential<T>(params.axis()).q, m);
  } else {
    pair_rotation(QuaternionExponential<T>(params.left()).q, QuaternionExponential<T>(params.right()).q, m);
  }
  store_lanes<T>(m.values, D * D, count, static_cast<T*>(a.out) + first * D * D);
}

template <class T, int D>
void exponential_backward_lanes(const SmallArgs& a, i64 first, int count) {
  using V = LanesOf<T>;
  const SkewParams<T, D> params(static_cast<const T*>(a.a) + first * params.kWidth, count);
  LaneMatrix<T, D> g(D);
  load_lanes<T>(static_cast<const T*>(a.b) + first * D * D, D * D, count, g.values);
  T* out = static_cast<T*>(a.out) + first * params.kWidth;
  if constexpr (D == 3) {
    const QuaternionExponential<T> turn(params.axis());
    const Quaternion<T> v = turn.backward(space_gradient(turn.q, g));
    V gradient[3] = {v.z, -v.y, v.x};
    params.store_gradient(gradient, count, out);
  } else {
    const QuaternionExponential<T> left(params.left()), right(params.right());
    Quaternion<T> l, r;
    pair_gradient(left.q, right.q, g, l, r);
    l = left.backward(l), r = right.backward(r);
    V gradient[6] = {l.x + r.x, l.y + r.y, l.z - r.z, l.z + r.z, r.y - l.y, l.x - r.x};
    params.store_gradient(gradient, count, out);
  }
}

template <class T>
void exponential(const SmallArgs& a) {
  if (a.dim == 3) for_lanes<T>(a, [&](i64 first, int count) { exponential_lanes<T, 3>(a, first, count); });
  else for_lanes<T>(a, [&](i64 first, int count) { exponential_lanes<T, 4>(a, first, count); });
}

template <class T>
void exponential_backward(const SmallArgs& a) {
  if (a.dim == 3) for_lanes<T>(a, [&](i64 first, int count) { exponential_backward_lanes<T, 3>(a, first, count); });
  else for_lanes<T>(a, [&](i64 first, int count) { exponential_backward_lanes<T, 4>(a, first, count); });
}

}  // namespace
}  // namespace topodiff
