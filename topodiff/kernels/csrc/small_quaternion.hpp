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

// The gradient of a unit quaternion q from that of its rotation.
template <class T>
TOPODIFF_INLINE Quaternion<T> space_gradient(const Quaternion<T>& q, const LaneMatrix<T, 3>& g) {
  using V = LanesOf<T>;
  const V a = q.w * T(2), b = q.x * T(2), c = q.y * T(2), d = q.z * T(2);
  const V x = g(2, 1) - g(1, 2), y = g(0, 2) - g(2, 0), z = g(1, 0) - g(0, 1);
  const V xy = g(0, 1) + g(1, 0), xz = g(0, 2) + g(2, 0), yz = g(1, 2) + g(2, 1);
  return {a * (g(0, 0) + g(1, 1) + g(2, 2)) + b * x + c * y + d * z,
          b * (g(0, 0) - g(1, 1) - g(2, 2)) + a * x + c * xy + d * xz,
          c * (g(1, 1) - g(0, 0) - g(2, 2)) + a * y + b * xy + d * yz,
          d * (g(2, 2) - g(0, 0) - g(1, 1)) + a * z + b * xz + c * yz};
}

// Matrices of y -> l y and of y -> y r.
template <class T>
struct PairMatrices {
  using V = LanesOf<T>;
  V left[4][4], right[4][4];

  TOPODIFF_INLINE PairMatrices(const Quaternion<T>& l, const Quaternion<T>& r)
      : left{{l.w, -l.x, -l.y, -l.z}, {l.x, l.w, -l.z, l.y}, {l.y, l.z, l.w, -l.x}, {l.z, -l.y, l.x, l.w}},
        right{{r.w, -r.x, -r.y, -r.z}, {r.x, r.w, r.z, -r.y}, {r.y, -r.z, r.w, r.x}, {r.z, r.y, -r.x, r.w}} {}
};

// x -> l x r / (|l| |r|) for equally long l, r
template <class T>
TOPODIFF_INLINE void pair_rotation(const Quaternion<T>& l, const Quaternion<T>& r, LaneMatrix<T, 4>& m) {
  using V = LanesOf<T>;
  const PairMatrices<T> of(l, r);
  const V scale = T(1) / l.square();
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      V sum = of.left[i][0] * of.right[0][j];
      for (int k = 1; k < 4; ++k) sum += of.left[i][k] * of.right[k][j];
      m(i, j) = sum * scale;
    }
}

// The gradients of unit l, r from that of their rotation.
template <class T>
TOPODIFF_INLINE void pair_gradient(const Quaternion<T>& l, const Quaternion<T>& r, const LaneMatrix<T, 4>& g,
                                   Quaternion<T>& dl, Quaternion<T>& dr) {
  using V = LanesOf<T>;
  const PairMatrices<T> of(l, r);
  V a[4][4], b[4][4];  // G right^T and left^T G
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      a[i][j] = g(i, 0) * of.right[j][0], b[i][j] = of.left[0][i] * g(0, j);
      for (int k = 1; k < 4; ++k) a[i][j] += g(i, k) * of.right[j][k], b[i][j] += of.left[k][i] * g(k, j);
    }
  dl = {a[0][0] + a[1][1] + a[2][2] + a[3][3], a[1][0] - a[0][1] + a[3][2] - a[2][3],
        a[2][0] - a[0][2] + a[1][3] - a[3][1], a[3][0] - a[0][3] + a[2][1] - a[1][2]};
  dr = {b[0][0] + b[1][1] + b[2][2] + b[3][3], b[1][0] - b[0][1] + b[2][3] - b[3][2],
        b[2][0] - b[0][2] + b[3][1] - b[1][3], b[3][0] - b[0][3] + b[1][2] - b[2][1]};
}

}  // namespace
}  // namespace topodiff
