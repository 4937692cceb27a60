// Compiled with the flags that every processor understands.
#include "attention_kernels.hpp"

const topodiff::AttentionTable* topodiff::baseline_attention() { return &kAttentionTable; }
