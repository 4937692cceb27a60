// Rotations of three and four dimensions from quaternions of any length.
#pragma once
#include "small_lanes.hpp"

namespace topodiff {
namespace {

template <class V>
TOPODIFF_INLINE V absolute(V x) {
  return x < V{} ? -x : x;
}
template <class V>
TOPODIFF_INLINE V bigger(V x, V y) {
  const V a = absolute(x), b = absolute(y);
  return a > b ? a : b;
}

template <class T>
struct Quaternion {
  using V = LanesOf<T>;
  V w, x, y, z;

  TOPODIFF_INLINE V square() const { return w * w + x * x + y * y + z * z; }
  TOPODIFF_INLINE V largest() const { return bigger(bigger(w, x), bigger(y, z)); }
  TOPODIFF_INLINE void divide(V by) { w /= by, x /= by, y /= by, z /= by; }
  TOPODIFF_INLINE void scale_down() { divide(largest()); }
};

// Imaginary a, b with 2 A x = a x + x b for the skew matrix A of six parameters.
template <class T>
TOPODIFF_INLINE Quaternion<T> split_left(const LanesOf<T>* p) {
  return {LanesOf<T>{}, p[0] + p[5], p[1] - p[4], p[3] + p[2]};
}
template <class T>
TOPODIFF_INLINE Quaternion<T> split_right(const LanesOf<T>* p) {
  return {LanesOf<T>{}, p[0] - p[5], p[1] + p[4], p[3] - p[2]};
}

// x -> q x q* / |q|^2
template <class T>
TOPODIFF_INLINE void space_rotation(const Quaternion<T>& q, LaneMatrix<T, 3>& m) {
  const auto &a = q.w, &b = q.x, &c = q.y, &d = q.z;
  const auto aa = a * a, bb = b * b, cc = c * c, dd = d * d, one = T(1) / (aa + bb + cc + dd), two = one + one;
  m(0, 0) = (aa + bb - cc - dd) * one, m(0, 1) = (b * c - a * d) * two, m(0, 2) = (b * d + a * c) * two;
  m(1, 0) = (b * c + a * d) * two, m(1, 1) = (aa - bb + cc - dd) * one, m(1, 2) = (c * d - a * b) * two;
  m(2, 0) = (b * d - a * c) * two, m(2, 1) = (c * d + a * b) * two, m(2, 2) = (aa - bb - cc + dd) * one;
}

// x -> l x r / (|l| |r|) for equally long l, r
template <class T>
TOPODIFF_INLINE void pair_rotation(const Quaternion<T>& l, const Quaternion<T>& r, LaneMatrix<T, 4>& m) {
  using V = LanesOf<T>;
  const V left[4][4] = {
      {l.w, -l.x, -l.y, -l.z}, {l.x, l.w, -l.z, l.y}, {l.y, l.z, l.w, -l.x}, {l.z, -l.y, l.x, l.w}};
  const V right[4][4] = {
      {r.w, -r.x, -r.y, -r.z}, {r.x, r.w, r.z, -r.y}, {r.y, -r.z, r.w, r.x}, {r.z, r.y, -r.x, r.w}};
  const V scale = T(1) / l.square();
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      V sum = left[i][0] * right[0][j];
      for (int k = 1; k < 4; ++k) sum += left[i][k] * right[k][j];
      m(i, j) = sum * scale;
    }
}

}  // namespace
}  // namespace topodiff
