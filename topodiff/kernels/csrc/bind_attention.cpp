// Python face of the attention kernels; arrays come as addresses, checked by topodiff.kernels.attention.
#include <nanobind/nanobind.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "attention.hpp"

namespace nb = nanobind;

namespace topodiff {
namespace {

using Address = std::uintptr_t;
using i64 = std::int64_t;

void* at(Address address) { return reinterpret_cast<void*>(address); }

// For the instruction set of all other kernels.
const AttentionTable* table() {
  const char* name = active_kernels()->name;
  if (!std::strcmp(name, "avx512")) return avx512_attention();
  if (!std::strcmp(name, "avx2")) return avx2_attention();
  return baseline_attention();
}

void run(AttentionId id, bool wide, bool wide_index, const AttentionArgs& args) {
  Report report{};
  {
    nb::gil_scoped_release release;
    table()->kernels[id][wide][wide_index](args, &report);
  }
  if (report.fault == Fault::none) return;
  const std::string value = std::to_string(report.value), position = std::to_string(report.position);
  if (report.fault == Fault::index_range)
    throw std::invalid_argument("index must lie in 0.." + std::to_string(args.rows - 1) + "; got " + value + " at entry " +
                                position);
  throw std::invalid_argument("ptr must rise from 0 to the number of entries, " + std::to_string(args.nnz) + "; got ptr[" +
                              position + "] = " + value);
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

}  // namespace

void bind_attention(nb::module_& m) {
  m.def("edge_dot", &dot);
  m.def("head_gather", &weighted<kHeadGather>);
  m.def("head_spread", &weighted<kHeadSpread>);
  m.def("edge_attention", &attention);
  m.def("edge_attention_backward", &attention_backward);
}

}  // namespace topodiff
