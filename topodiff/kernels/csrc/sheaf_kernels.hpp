// The table of products with stalks for the instruction set that the including file is compiled for.
#pragma once
#include "sheaf_outer.hpp"

namespace topodiff {
namespace {

#define TOPODIFF_SHEAF(kernel) \
  {{kernel<float, std::int32_t>, kernel<float, std::int64_t>}, {kernel<double, std::int32_t>, kernel<double, std::int64_t>}}

constexpr SheafTable kSheafTable = {{TOPODIFF_SHEAF(sheaf_gather), TOPODIFF_SHEAF(sheaf_outer)}};

}  // namespace
}  // namespace topodiff
