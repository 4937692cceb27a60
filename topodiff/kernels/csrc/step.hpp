// One step of sheaf diffusion where nothing is exchanged between vertices: residual and activation, dropout, and
// products with one matrix for all stalks.
#pragma once
#include <cstdint>

namespace topodiff {

struct StepArgs {
  const void *x, *z, *factor, *grad;  // (n, dim, channels) but for factor (dim), for products (dim, dim)
  void *out, *out2, *partial;         // out2 like x; partial (ceil(n / kStepBlock), size of factor)
  std::int64_t n, dim, channels;      // for dropout: n values
  std::uint32_t seed_low, seed_high, threshold;
  double scale;
  int activation, threads;
  bool transpose;
};

constexpr std::int64_t kStepBlock = 256;

using StepKernel = void (*)(const StepArgs&);

enum StepId {
  kResidual,          // x, z, factor -> out = (1 + factor) x - act(z)
  kResidualBackward,  // grad, x, z, factor -> out = dx, out2 = dz, partial sums of dfactor
  kDropout,           // x -> out: values whose random number lies below the threshold become 0, others are scaled
  kStalkMatmul,       // factor, x -> out_v = factor x_v, or its transpose
  kStalkOuter,        // grad, x -> partial sums of grad_v x_v^T
  kNumSteps
};

struct StepTable {
  StepKernel kernels[kNumSteps][2];  // [kernel][float64]
};

// Null where the compiler was not asked for the instruction set.
const StepTable* baseline_step();
const StepTable* avx2_step();
const StepTable* avx512_step();

}  // namespace topodiff
