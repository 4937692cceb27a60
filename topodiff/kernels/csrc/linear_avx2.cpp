// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "linear.hpp"

#ifdef __AVX2__
#include "linear_kernels.hpp"

const topodiff::LinearTable* topodiff::avx2_linear() { return &kLinearTable; }
#else
const topodiff::LinearTable* topodiff::avx2_linear() { return nullptr; }
#endif
