// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "expansion.hpp"

#ifdef __AVX2__
#include "expansion_kernels.hpp"

const topodiff::ExpansionTable* topodiff::avx2_expansion() { return &kExpansionTable; }
#else
const topodiff::ExpansionTable* topodiff::avx2_expansion() { return nullptr; }
#endif
