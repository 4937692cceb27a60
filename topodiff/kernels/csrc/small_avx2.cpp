// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "small.hpp"

#ifdef __AVX2__
#include "small_kernels.hpp"

const topodiff::SmallTable* topodiff::avx2_small() { return &kSmallTable; }
#else
const topodiff::SmallTable* topodiff::avx2_small() { return nullptr; }
#endif
