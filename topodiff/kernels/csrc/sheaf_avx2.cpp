// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "sheaf.hpp"

#ifdef __AVX2__
#include "sheaf_kernels.hpp"

const topodiff::SheafTable* topodiff::avx2_sheaf() { return &kSheafTable; }
#else
const topodiff::SheafTable* topodiff::avx2_sheaf() { return nullptr; }
#endif
