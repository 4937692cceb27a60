// Compiled with the flags of this instruction set where there are such flags (CMakeLists.txt).
#include "kernel_table.hpp"

#ifdef __AVX2__
#include "isa_kernels.hpp"

const topodiff::KernelTable* topodiff::avx2_kernels() {
  static const KernelTable table = make_table("avx2");
  return &table;
}
#else
const topodiff::KernelTable* topodiff::avx2_kernels() { return nullptr; }
#endif
