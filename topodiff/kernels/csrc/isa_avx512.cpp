// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "kernel_table.hpp"

#ifdef __AVX512F__
#include "isa_kernels.hpp"

const topodiff::KernelTable* topodiff::avx512_kernels() {
  static const KernelTable table = make_table("avx512");
  return &table;
}
#else
const topodiff::KernelTable* topodiff::avx512_kernels() { return nullptr; }
#endif
