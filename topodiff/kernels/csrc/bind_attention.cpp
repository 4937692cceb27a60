// Python face of the attention kernels.
#include "attention.hpp"
#include "bind.hpp"

namespace topodiff {
namespace {

void run(AttentionId id, bool wide, bool wide_index, const AttentionArgs& args) {
  const AttentionTable& table = in_use(baseline_attention, avx2_attention, avx512_attention);
  run_checked(table.kernels[id][wide][wide_index], args, [&] { return index_range(args.rows); });
}

#define TOPODIFF_SIZES                                                                                                   \
  bool wide, bool wide_index, int threads, i64 rows, i64 segments, i64 nnz, i64 heads, i64 width, i64 channels, bool shared, \
      double scale, Address index, Address ptr
#define TOPODIFF_ARGS                                                                             \
  AttentionArgs a;                                                                                \
  a.threads = threads, a.rows = rows, a.segments = segments, a.nnz = nnz;                         \
  a.heads = heads, a.width = width, a.channels = channels, a.shared = shared, a.scale = scale;    \
  a.index = at(index), a.ptr = at(ptr)

void dot(TOPODIFF_SIZES, Address q, Address k, Address out) {
  TOPODIFF_ARGS;
  a.q = at(q), a.k = at(k), a.out = at(out);
  run(kEdgeDot, wide, wide_index, a);
}

template <AttentionId id>
void weighted(TOPODIFF_SIZES, Address x, Address alpha, Address out) {
  TOPODIFF_ARGS;
  a.x = at(x), a.alpha = at(alpha), a.out = at(out);
  run(id, wide, wide_index, a);
}

void attention(TOPODIFF_SIZES, Address q, Address k, Address x, Address out, Address alpha) {
  TOPODIFF_ARGS;
  a.q = at(q), a.k = at(k), a.x = at(x), a.out = at(out), a.out2 = at(alpha);
  run(kEdgeAttention, wide, wide_index, a);
}

void attention_backward(TOPODIFF_SIZES, Address grad, Address q, Address k, Address x, Address alpha, Address dscores,
                        Address dq, Address dk, Address dx) {
  TOPODIFF_ARGS;
  a.grad = at(grad), a.q = at(q), a.k = at(k), a.x = at(x), a.alpha = at(alpha);
  a.dscores = at(dscores), a.dq = at(dq), a.dk = at(dk), a.dx = at(dx);
  run(kEdgeAttentionBackward, wide, wide_index, a);
}

#define TOPODIFF_WEIGHTS \
  bool wide, bool wide_index, int threads, i64 segments, i64 nnz, i64 heads, int squash, double top, Address order, Address ptr

AttentionArgs weights_args(int threads, i64 segments, i64 nnz, i64 heads, int squash, double top, Address order,
                           Address ptr) {
  AttentionArgs a;
  a.threads = threads, a.rows = nnz, a.segments = segments, a.nnz = nnz, a.heads = heads;
  a.squash = squash, a.top = top, a.index = at(order), a.ptr = at(ptr);
  return a;
}

void weights(TOPODIFF_WEIGHTS, Address scores, Address out) {
  AttentionArgs a = weights_args(threads, segments, nnz, heads, squash, top, order, ptr);
  a.x = at(scores), a.out = at(out);
  run(kSegmentWeights, wide, wide_index, a);
}

void weights_backward(TOPODIFF_WEIGHTS, Address grad, Address scores, Address totals, Address dscores) {
  AttentionArgs a = weights_args(threads, segments, nnz, heads, squash, top, order, ptr);
  a.grad = at(grad), a.x = at(scores), a.out2 = at(totals), a.dscores = at(dscores);
  run(kSegmentWeightsBackward, wide, wide_index, a);
}

}  // namespace

void bind_attention(nb::module_& m) {
  m.def("edge_dot", &dot);
  m.def("head_gather", &weighted<kHeadGather>);
  m.def("head_spread", &weighted<kHeadSpread>);
  m.def("edge_attention", &attention);
  m.def("edge_attention_backward", &attention_backward);
  m.def("segment_weights", &weights);
  m.def("segment_weights_backward", &weights_backward);
}

}  // namespace topodiff
