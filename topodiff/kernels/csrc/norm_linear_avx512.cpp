// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "norm_linear.hpp"

#ifdef __AVX512F__
#include "norm_linear_kernels.hpp"

const topodiff::NormLinearTable* topodiff::avx512_norm_linear() { return &kNormLinearTable; }
#else
const topodiff::NormLinearTable* topodiff::avx512_norm_linear() { return nullptr; }
#endif
