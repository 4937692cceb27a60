// What a step does at each vertex alone: residual and activation of sheaf diffusion, the oscillator, dropout.
#pragma once
#include <cstdint>

#include "drop.hpp"

namespace topodiff {

struct StepArgs {
  const void *x, *z, *factor, *grad;  // (n, dim, channels) but for factor (dim)
  void *out, *out2, *partial;         // out2 like x; partial (ceil(n / kStepBlock), dim)
  std::int64_t n, dim, channels;      // for dropout and oscillator: n values
  Drop drop;
  // of the oscillator
  const void *v, *grad2;
  void* out3;
  double step, damping, control;
  int activation, threads;
};

constexpr std::int64_t kStepBlock = 256;

using StepKernel = void (*)(const StepArgs&);

enum StepId {
  kResidual,          // x, z, factor -> out = (1 + factor) x - act(z)
  kResidualBackward,  // grad, x, z, factor -> out = dx, out2 = dz, partial sums of dfactor
  kDropout,           // x -> out
  kOscillator,          // x, v, z -> out = x + step out2, out2 = v + step (act(z) - control x - damping v)
  kOscillatorBackward,  // grad and grad2 of both, z -> out = dx, out2 = dv, out3 = dz
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
