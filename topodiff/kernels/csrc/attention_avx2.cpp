// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "attention.hpp"

#ifdef __AVX2__
#include "attention_kernels.hpp"

const topodiff::AttentionTable* topodiff::avx2_attention() { return &kAttentionTable; }
#else
const topodiff::AttentionTable* topodiff::avx2_attention() { return nullptr; }
#endif
