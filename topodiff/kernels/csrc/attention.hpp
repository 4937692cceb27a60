// Attention along the entries of a sparse matrix: products of queries and keys, weights, sums of values.
#pragma once
#include "kernel_table.hpp"

namespace topodiff {

// Rows of segments are numbered by ptr, columns by index. q and grad: one row per segment; k, x: `rows` rows.
// width: of a head of q and k; channels: of a head of x, or of x where heads share it (`shared`), whose mean is taken.
struct AttentionArgs : Args {
  const void *q = nullptr, *k = nullptr;
  const void* alpha = nullptr;  // (nnz, heads)
  std::int64_t heads = 1, width = 1;
  bool shared = false;
  double scale = 1;
  void *dq = nullptr, *dk = nullptr, *dx = nullptr;
  void* dscores = nullptr;  // (nnz, heads), room for the gradient of the scores
  int squash = 0;           // of kSegmentWeights, a Squash
  double top = 0;           // what scores are seen from there, but for softmax
};

using AttentionKernel = void (*)(const AttentionArgs&, Report*);

// kEdgeDot: out[e, h] = scale <q[i, h], k[index[e], h]>.
// kHeadGather: out[i, h] = sum over entries of row i of alpha[e, h] x[index[e], h].
// kHeadSpread: out[j, h] = sum over entries with index j of alpha[e, h] x[i, h]; x has a row per segment.
// kEdgeAttention: out2 = alpha = softmax of the scores over each row, out = sum of alpha x (mean over heads if shared).
// kEdgeAttentionBackward: dq, dk, dx.
// kSegmentWeights: out[e] = mean over heads of f(x[e]) / sum of f(x) over the segment of e; segments hold the entries
// index[ptr[s]..ptr[s + 1] - 1], or those of these numbers where index is null.
// kSegmentWeightsBackward: dscores; out2: room for a value per segment.
enum AttentionId {
  kEdgeDot, kHeadGather, kHeadSpread, kEdgeAttention, kEdgeAttentionBackward, kSegmentWeights, kSegmentWeightsBackward,
  kNumAttention
};
// exp; s + sqrt(s^2 + 4) for s less `top`, which stays or is the largest of all scores and has a gradient.
enum Squash { kSoftmax, kSquareplus, kShiftedSquareplus };

struct AttentionTable {
  AttentionKernel kernels[kNumAttention][2][2];  // [kernel][float64][int64]
};

// Null where the compiler was not asked for the instruction set.
const AttentionTable* baseline_attention();
const AttentionTable* avx2_attention();
const AttentionTable* avx512_attention();

}  // namespace topodiff
