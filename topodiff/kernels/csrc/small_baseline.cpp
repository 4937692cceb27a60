// Compiled with the flags that every processor understands.
#include "small_kernels.hpp"

const topodiff::SmallTable* topodiff::baseline_small() { return &kSmallTable; }
