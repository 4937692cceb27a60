// Sine and cosine on vectors, to about two units in the last place of 1, for |x| up to about 1000.
#pragma once
#include "simd.hpp"

namespace topodiff {
namespace {

// pi / 2 in three parts, of which the first two times a small whole number are exact.
template <class T>
struct QuarterTurn;
template <>
struct QuarterTurn<float> {
  static constexpr float first = 1.5703125f, second = 4.837512969970703125e-4f, third = 7.54978995489188216e-8f;
  static constexpr float shift = 12582912.0f;  // 1.5 * 2^23 rounds to integers
  static constexpr int degree = 10;
};
template <>
struct QuarterTurn<double> {
  static constexpr double first = 1.57079625129699707031, second = 7.54978941586159635336e-8;
  static constexpr double third = 5.39030285815811905290e-15;
  static constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr int degree = 18;
};

// Taylor series of cos (first = 0) and of sin(x) / x (first = 1) in `square`, |x| <= pi / 4.
template <class V, class T>
TOPODIFF_INLINE V trigonometric_series(V square, int first) {
  V sum = fill<V>(T(1));
  for (int k = QuarterTurn<T>::degree; k > 0; k -= 2) sum = T(1) - square * sum * (T(1) / T((k + first) * (k + first - 1)));
  return sum;
}

template <class V, class T>
TOPODIFF_INLINE void sin_cos(V x, V& sine, V& cosine) {
  using Q = QuarterTurn<T>;
  using I = Vec<typename IntOf<T>::type, sizeof(V) / sizeof(T)>;
  const V shift = fill<V>(Q::shift), shifted = x * T(0.63661977236758134308) + shift, n = shifted - shift;
  const V r = ((x - n * Q::first) - n * Q::second) - n * Q::third, square = r * r;
  const V s = r * trigonometric_series<V, T>(square, 1), c = trigonometric_series<V, T>(square, 0);
  const I quadrant = (I)shifted;  // in its lowest bits
  const auto odd = (quadrant & 1) != 0;
  const V plain_s = odd ? c : s, plain_c = odd ? s : c;
  sine = (quadrant & 2) != 0 ? -plain_s : plain_s;
  cosine = ((quadrant + 1) & 2) != 0 ? -plain_c : plain_c;
}

}  // namespace
}  // namespace topodiff
