// One step of sheaf diffusion where nothing is exchanged between vertices: residual and activation, dropout.
#pragma once
#include <cstdint>

#include "drop.hpp"

namespace topodiff {

struct StepArgs {
  const void *x, *z, *factor, *grad;  // (n, dim, channels) but for factor (dim)
  void *out, *out2, *partial;         // out2 like x; partial (ceil(n / kStepBlock), dim)
  std::int64_t n, dim, channels;      // for dropout: n values
  Drop drop;
  int activation, threads;
};

constexpr std::int64_t kStepBlock = 256;

using StepKernel = void (*)(const StepArgs&);

enum StepId {
  kResidual,          // x, z, factor -> out = (1 + factor) x - act(z)
  kResidualBackward,  // grad, x, z, factor -> out = dx, out2 = dz, partial sums of dfactor
  kDropout,           // x -> out
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
