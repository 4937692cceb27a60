// The table of all kernels for the instruction set that the including file is compiled for.
#pragma once
#include "coface_kernels.hpp"
#include "scatter_kernels.hpp"
#include "softmax_kernels.hpp"

namespace topodiff {
namespace {

#define TOPODIFF_ENTRY(id, kernel)                             \
  table.kernels[id][0][0] = kernel<float, std::int32_t>;       \
  table.kernels[id][0][1] = kernel<float, std::int64_t>;       \
  table.kernels[id][1][0] = kernel<double, std::int32_t>;      \
  table.kernels[id][1][1] = kernel<double, std::int64_t>

KernelTable make_table(const char* name) {
  KernelTable table;
  table.name = name;
  TOPODIFF_ENTRY(kSegmentSum, segment_sum);
  TOPODIFF_ENTRY(kSegmentExpand, segment_expand);
  TOPODIFF_ENTRY(kSegmentExtreme, segment_extreme);
  TOPODIFF_ENTRY(kSegmentSoftmax, segment_softmax);
  TOPODIFF_ENTRY(kSegmentSoftmaxBackward, segment_softmax_backward);
  TOPODIFF_ENTRY(kScatterSum, scatter_sum);
  TOPODIFF_ENTRY(kScatterExpand, scatter_expand);
  TOPODIFF_ENTRY(kScatterExtreme, scatter_extreme);
  TOPODIFF_ENTRY(kPlace, place);
  TOPODIFF_ENTRY(kPick, pick);
  TOPODIFF_ENTRY(kGatherSum, gather_sum);
  TOPODIFF_ENTRY(kGatherExtreme, gather_extreme);
  TOPODIFF_ENTRY(kSpreadSum, spread_sum);
  TOPODIFF_ENTRY(kGatherDot, gather_dot);
  TOPODIFF_ENTRY(kCofaceMessage, coface_message);
  TOPODIFF_ENTRY(kCofaceMessageBackward, coface_message_backward);
  return table;
}

}  // namespace
}  // namespace topodiff
