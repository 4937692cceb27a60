// Python face of the kernels of step.hpp; arrays come as addresses, checked by topodiff.kernels.step_cpu.
#include <nanobind/nanobind.h>

#include <cstring>

#include "kernel_table.hpp"
#include "step.hpp"

namespace nb = nanobind;

namespace topodiff {
namespace {

using Address = std::uintptr_t;

void* at(Address address) { return reinterpret_cast<void*>(address); }

// For the instruction set of all other kernels.
void run(StepId id, bool wide, const StepArgs& args) {
  const char* name = active_kernels()->name;
  const StepTable* table = !std::strcmp(name, "avx512") ? avx512_step()
                           : !std::strcmp(name, "avx2") ? avx2_step()
                                                        : baseline_step();
  nb::gil_scoped_release release;
  table->kernels[id][wide](args);
}

StepArgs sizes(int threads, std::int64_t n, std::int64_t dim, std::int64_t channels) {
  StepArgs a{};
  a.n = n, a.dim = dim, a.channels = channels, a.threads = threads;
  return a;
}

void residual(bool wide, int threads, std::int64_t n, std::int64_t dim, std::int64_t channels, int activation,
              Address x, Address z, Address factor, Address out) {
  StepArgs a = sizes(threads, n, dim, channels);
  a.x = at(x), a.z = at(z), a.factor = at(factor), a.out = at(out), a.activation = activation;
  run(kResidual, wide, a);
}

void residual_backward(bool wide, int threads, std::int64_t n, std::int64_t dim, std::int64_t channels, int activation,
                       Address grad, Address x, Address z, Address factor, Address dx, Address dz, Address partial) {
  StepArgs a = sizes(threads, n, dim, channels);
  a.grad = at(grad), a.x = at(x), a.z = at(z), a.factor = at(factor), a.activation = activation;
  a.out = at(dx), a.out2 = at(dz), a.partial = at(partial);
  run(kResidualBackward, wide, a);
}

void dropout(bool wide, int threads, std::int64_t n, std::uint64_t seed, std::uint32_t threshold, double scale,
             Address x, Address out) {
  StepArgs a = sizes(threads, n, 1, 1);
  a.x = at(x), a.out = at(out), a.threshold = threshold, a.scale = scale;
  a.seed_low = std::uint32_t(seed), a.seed_high = std::uint32_t(seed >> 32);
  run(kDropout, wide, a);
}

void stalk_matmul(bool wide, int threads, std::int64_t n, std::int64_t dim, std::int64_t channels, Address w, Address x,
                  bool transpose, Address out) {
  StepArgs a = sizes(threads, n, dim, channels);
  a.factor = at(w), a.x = at(x), a.out = at(out), a.transpose = transpose;
  run(kStalkMatmul, wide, a);
}

void stalk_outer(bool wide, int threads, std::int64_t n, std::int64_t dim, std::int64_t channels, Address grad,
                 Address x, Address partial) {
  StepArgs a = sizes(threads, n, dim, channels);
  a.grad = at(grad), a.x = at(x), a.partial = at(partial);
  run(kStalkOuter, wide, a);
}

}  // namespace

void bind_step(nb::module_& m) {
  m.attr("step_block") = kStepBlock;
  m.def("residual", &residual);
  m.def("residual_backward", &residual_backward);
  m.def("dropout", &dropout);
  m.def("stalk_matmul", &stalk_matmul);
  m.def("stalk_outer", &stalk_outer);
}

}  // namespace topodiff
