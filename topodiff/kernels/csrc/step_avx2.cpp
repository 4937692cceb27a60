// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "step.hpp"

#ifdef __AVX2__
#include "step_kernels.hpp"

const topodiff::StepTable* topodiff::avx2_step() { return &kStepTable; }
#else
const topodiff::StepTable* topodiff::avx2_step() { return nullptr; }
#endif
