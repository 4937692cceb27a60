// Compiled with the flags that every processor understands.
#include "linear_kernels.hpp"

const topodiff::LinearTable* topodiff::baseline_linear() { return &kLinearTable; }
