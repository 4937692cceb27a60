// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "norm_linear.hpp"

#ifdef __AVX2__
#include "norm_linear_kernels.hpp"

const topodiff::NormLinearTable* topodiff::avx2_norm_linear() { return &kNormLinearTable; }
#else
const topodiff::NormLinearTable* topodiff::avx2_norm_linear() { return nullptr; }
#endif
