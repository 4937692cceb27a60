// Compiled with the flags that every processor understands.
#include "step_kernels.hpp"

const topodiff::StepTable* topodiff::baseline_step() { return &kStepTable; }
