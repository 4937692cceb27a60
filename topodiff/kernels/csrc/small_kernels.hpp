// The table of kernels for very small matrices, for the instruction set that the including file is compiled for.
#pragma once
#include "small_cayley.hpp"
#include "small_exponential.hpp"
#include "small_householder.hpp"
#include "small_matmul.hpp"
#include "small_transports.hpp"

namespace topodiff {
namespace {

constexpr SmallTable kSmallTable = {{
    {small_matmul<float>, small_matmul<double>},
    {householder<float>, householder<double>},
    {householder_backward<float>, householder_backward<double>},
    {cayley<float>, cayley<double>},
    {cayley_backward<float>, cayley_backward<double>},
    {exponential<float>, exponential<double>},
    {exponential_backward<float>, exponential_backward<double>},
    {transports<float>, transports<double>},
    {transports_backward<float>, transports_backward<double>},
}};

}  // namespace
}  // namespace topodiff
