// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "step.hpp"

#ifdef __AVX512F__
#include "step_kernels.hpp"

const topodiff::StepTable* topodiff::avx512_step() { return &kStepTable; }
#else
const topodiff::StepTable* topodiff::avx512_step() { return nullptr; }
#endif
