// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "expansion.hpp"

#ifdef __AVX512F__
#include "expansion_kernels.hpp"

const topodiff::ExpansionTable* topodiff::avx512_expansion() { return &kExpansionTable; }
#else
const topodiff::ExpansionTable* topodiff::avx512_expansion() { return nullptr; }
#endif
