// Python face of the kernels for very small matrices; arrays come as addresses, checked by topodiff.kernels.small_cpu.
#include <nanobind/nanobind.h>

#include <cstring>

#include "kernel_table.hpp"
#include "small.hpp"

namespace nb = nanobind;

namespace topodiff {
namespace {

using Address = std::uintptr_t;

// For the instruction set of all other kernels.
const SmallTable* table() {
  const char* name = active_kernels()->name;
  if (!std::strcmp(name, "avx512")) return avx512_small();
  if (!std::strcmp(name, "avx2")) return avx2_small();
  return baseline_small();
}

SmallArgs arguments(int threads, std::int64_t n, int dim, Address a, Address b, Address out) {
  SmallArgs args{};
  args.a = reinterpret_cast<void*>(a), args.b = reinterpret_cast<void*>(b), args.out = reinterpret_cast<void*>(out);
  args.n = n, args.dim = dim, args.threads = threads;
  return args;
}

void run(SmallId id, bool wide, const SmallArgs& args) {
  nb::gil_scoped_release release;
  table()->kernels[id][wide](args);
}

void matmul(bool wide, int threads, std::int64_t n, int dim, Address a, std::int64_t a_stride, bool a_transposed,
            Address b, std::int64_t b_stride, bool b_transposed, Address out) {
  SmallArgs args = arguments(threads, n, dim, a, b, out);
  args.a_stride = a_stride, args.b_stride = b_stride;
  args.a_transposed = a_transposed, args.b_transposed = b_transposed;
  run(kSmallMatmul, wide, args);
}

template <SmallId id>
void rotate(bool wide, int threads, std::int64_t n, int dim, Address a, Address b, Address c, Address out,
            bool rotation) {
  SmallArgs args = arguments(threads, n, dim, a, b, out);
  args.c = reinterpret_cast<void*>(c), args.rotation = rotation;
  run(id, wide, args);
}

}  // namespace

void bind_small(nb::module_& m) {
  m.attr("max_small_matrix") = kMaxSmall;
  m.attr("max_rotation") = kMaxRotation;
  m.def("small_matmul", &matmul);
  m.def("householder", &rotate<kHouseholder>);
  m.def("householder_backward", &rotate<kHouseholderBackward>);
  m.def("cayley", &rotate<kCayley>);
  m.def("cayley_backward", &rotate<kCayleyBackward>);
  m.def("exponential", &rotate<kExponential>);
  m.def("exponential_backward", &rotate<kExponentialBackward>);
}

}  // namespace topodiff
