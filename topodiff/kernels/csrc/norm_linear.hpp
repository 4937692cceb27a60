// Linear maps with the normalisation and activation of their input and the statistics of their output in one pass.
#pragma once
#include <cstdint>

namespace topodiff {

// x (rows, groups * in), weight (groups, out, in), y (rows, groups * out); vectors have one value per channel.
// count (rows): how many rows of the statistics a row stands for. Null pointers leave a part out: mean (no
// normalisation), y_mean (no statistics), count (one each), dx, dweight.
struct NormLinearArgs {
  const void *x, *mean, *var, *gamma, *beta;
  const void *weight, *bias, *count;
  void *y, *y_mean, *y_var;
  const void *dy, *dy_mean, *dy_var;
  void *dx, *dmean, *dvar, *dgamma, *dbeta, *dweight, *dbias;
  std::int64_t rows, groups, in, out;
  double eps;
  int activation, threads;
};

using NormLinearKernel = void (*)(const NormLinearArgs&);

enum NormLinearId { kNormLinear, kNormLinearBackward, kNormActivation, kNormActivationBackward, kNumNormLinear };

struct NormLinearTable {
  NormLinearKernel kernels[kNumNormLinear][2];  // [kernel][float64]
};

// Null where the compiler was not asked for the instruction set.
const NormLinearTable* baseline_norm_linear();
const NormLinearTable* avx2_norm_linear();
const NormLinearTable* avx512_norm_linear();

}  // namespace topodiff
