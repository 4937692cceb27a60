// Linear maps of the state after dropout: of stalk and channels, and of the states at both ends of an edge.
#pragma once
#include <cstdint>

#include "drop.hpp"

namespace topodiff {

struct LinearArgs {
  const void *x, *grad;  // x (n, dim, channels)
  std::int64_t n, dim, channels;
  Drop drop;
  int threads;
  void *out, *dx;
  // of stalks: (dim, dim) and (channels, channels), null for the identity
  const void *left, *right;
  void *dleft, *dright;
  // of pairs: weight (2 outputs, width), width dim * channels, or channels for the sum over the stalk; incidences of a
  // graph; what the map makes of every vertex, (n, 2 outputs)
  const void *weight, *face, *ptr, *order;
  void *projected, *dweight;
  std::int64_t outputs, width, nnz;
  int activation;
};

// False: the incidences are none.
using LinearKernel = bool (*)(const LinearArgs&);

enum LinearId {
  kStalkLinear,          // out_v = left drop(x)_v right^T
  kStalkLinearBackward,  // grad -> dx, dleft, dright
  kPairLinear,           // -> out (nnz, outputs), projected
  kPairLinearBackward,   // grad, projected -> dx, dweight
  kNumLinear
};

struct LinearTable {
  LinearKernel kernels[kNumLinear][2][2];  // [kernel][float64][int64]
};

// Null where the compiler was not asked for the instruction set.
const LinearTable* baseline_linear();
const LinearTable* avx2_linear();
const LinearTable* avx512_linear();

}  // namespace topodiff
