// The kernels of linear.hpp for the instruction set that the including file is compiled for.
#pragma once
#include "pair_linear.hpp"
#include "stalk_linear.hpp"

namespace topodiff {
namespace {

#define TOPODIFF_WIDTHS(kernel) \
  {{kernel<float, std::int32_t>, kernel<float, i64>}, {kernel<double, std::int32_t>, kernel<double, i64>}}
#define TOPODIFF_NO_INDEX(kernel) {{kernel<float>, kernel<float>}, {kernel<double>, kernel<double>}}

constexpr LinearTable kLinearTable = {{
    TOPODIFF_NO_INDEX(stalk_linear),
    TOPODIFF_NO_INDEX(stalk_linear_backward),
    TOPODIFF_WIDTHS(pair_linear),
    TOPODIFF_WIDTHS(pair_linear_backward),
}};

}  // namespace
}  // namespace topodiff
