#include "isa_kernels.hpp"

const topodiff::KernelTable* topodiff::baseline_kernels() {
  static const KernelTable table = make_table("baseline");
  return &table;
}
