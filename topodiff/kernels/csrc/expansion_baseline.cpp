// Compiled with the flags that every processor understands.
#include "expansion_kernels.hpp"

const topodiff::ExpansionTable* topodiff::baseline_expansion() { return &kExpansionTable; }
