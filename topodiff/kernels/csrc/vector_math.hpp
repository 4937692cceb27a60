// exp, expm1, sigmoid and tanh on vectors, to about two units in the last place; roots, which are rounded correctly.
#pragma once
#include "simd.hpp"

namespace topodiff {
namespace {

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  static constexpr float low = -87.0f, high = 88.3f, shift = 12582912.0f;  // shift: 1.5 * 2^23 rounds to integers
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr int mantissa_bits = 23, degree = 7;
};
template <>
struct ExpConstants<double> {
  static constexpr double low = -708.0, high = 709.4, shift = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
  static constexpr int mantissa_bits = 52, degree = 13;
};

// exp(x) = scale * (1 + tail): scale is a power of two, |tail| < 0.42. x is within [low, high] or NaN.
template <class V, class T>
TOPODIFF_INLINE void split_exp(V x, V& scale, V& tail) {
  using C = ExpConstants<T>;
  typedef typename IntOf<T>::type Int;
  typedef typename UnsignedOf<Int>::type UInt;
  using U = Vec<UInt, sizeof(V) / sizeof(T)>;
  const V shift = fill<V>(C::shift);
  const V shifted = x * T(1.4426950408889634) + shift;
  const V n = shifted - shift;
  const V r = (x - n * C::ln2_high) - n * C::ln2_low;
  // Taylor series of (exp(r) - 1) / r, |r| < 0.347
  T factor = 1;
  for (int k = 2; k <= C::degree; ++k) factor /= T(k);
  V series = fill<V>(factor);
  for (int k = C::degree; k > 1; --k) {
    factor *= T(k);
    series = series * r + factor;
  }
  tail = series * r;
  const U bits = (U)shifted - (U)shift;
  const UInt bias = (UInt(1) << (sizeof(T) * 8 - 2 - C::mantissa_bits)) - 1;
  scale = (V)((bits + bias) << UInt(C::mantissa_bits));
}

template <class V, class T>
TOPODIFF_INLINE V clamp(V x, T low, T high) {
  const V raised = x < fill<V>(low) ? fill<V>(low) : x;
  return raised > fill<V>(high) ? fill<V>(high) : raised;
}

// Zero below -87 (float) and -708 (double), infinite above 88.3 and 709.4.
template <class V, class T>
TOPODIFF_INLINE V exp_of(V x) {
  using C = ExpConstants<T>;
  V scale, tail;
  split_exp<V, T>(clamp<V, T>(x, C::low, C::high), scale, tail);
  const V value = scale + scale * tail;
  const V bounded = x < fill<V>(C::low) ? V{} : value;
  return x > fill<V>(C::high) ? fill<V>(T(__builtin_inf())) : bounded;
}

// exp(x) - 1 for x <= high, without cancellation near 0.
template <class V, class T>
TOPODIFF_INLINE V expm1_of(V x) {
  using C = ExpConstants<T>;
  V scale, tail;
  split_exp<V, T>(clamp<V, T>(x, C::low, C::high), scale, tail);
  return scale * tail + (scale - T(1));
}

// One instruction where the compiler may forget errno (CMakeLists.txt).
template <class V, class T>
TOPODIFF_INLINE V sqrt_of(V x) {
  for (unsigned i = 0; i < sizeof(V) / sizeof(T); ++i) {
    if constexpr (sizeof(T) == 4) x[i] = __builtin_sqrtf(x[i]);
    else x[i] = __builtin_sqrt(x[i]);
  }
  return x;
}

template <class V, class T>
TOPODIFF_INLINE V sigmoid_of(V x) {
  return T(1) / (T(1) + exp_of<V, T>(-x));
}

template <class V, class T>
TOPODIFF_INLINE V tanh_of(V x) {
  const V negative_size = x > V{} ? -x : x;
  const V m = expm1_of<V, T>(negative_size + negative_size);
  const V size = -m / (m + T(2));
  return x < V{} ? -size : size;
}

enum Activation { kIdentity, kRelu, kElu, kSilu, kTanh };

template <int A, class V, class T>
TOPODIFF_INLINE V activation_of(V z) {
  if constexpr (A == kIdentity) return z;
  if constexpr (A == kRelu) return z < V{} ? V{} : z;  // keeps NaN
  if constexpr (A == kElu) return z > V{} ? z : expm1_of<V, T>(z);
  if constexpr (A == kSilu) return z * sigmoid_of<V, T>(z);
  if constexpr (A == kTanh) return tanh_of<V, T>(z);
}

template <int A, class V, class T>
TOPODIFF_INLINE V derivative_of(V z) {
  const V one = fill<V>(T(1));
  if constexpr (A == kIdentity) return one;
  if constexpr (A == kRelu) return z > V{} ? one : V{};
  if constexpr (A == kElu) return z > V{} ? one : exp_of<V, T>(z);
  if constexpr (A == kSilu) {
    const V s = sigmoid_of<V, T>(z);
    return s * (one + z * (one - s));
  }
  if constexpr (A == kTanh) {
    const V t = tanh_of<V, T>(z);
    return one - t * t;
  }
}

}  // namespace
}  // namespace topodiff
