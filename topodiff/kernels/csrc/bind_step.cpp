// Python face of the kernels of step.hpp.
#include "bind.hpp"
#include "step.hpp"

namespace topodiff {
namespace {

void run(StepId id, bool wide, const StepArgs& args) {
  without_gil(in_use(baseline_step, avx2_step, avx512_step).kernels[id][wide], args);
}

StepArgs sizes(int threads, i64 n, i64 dim, i64 channels) {
  StepArgs a{};
  a.n = n, a.dim = dim, a.channels = channels, a.threads = threads;
  return a;
}

void residual(bool wide, int threads, i64 n, i64 dim, i64 channels, int activation,
              Address x, Address z, Address factor, Address out) {
  StepArgs a = sizes(threads, n, dim, channels);
  a.x = at(x), a.z = at(z), a.factor = at(factor), a.out = at(out), a.activation = activation;
  run(kResidual, wide, a);
}

void residual_backward(bool wide, int threads, i64 n, i64 dim, i64 channels, int activation,
                       Address grad, Address x, Address z, Address factor, Address dx, Address dz, Address partial) {
  StepArgs a = sizes(threads, n, dim, channels);
  a.grad = at(grad), a.x = at(x), a.z = at(z), a.factor = at(factor), a.activation = activation;
  a.out = at(dx), a.out2 = at(dz), a.partial = at(partial);
  run(kResidualBackward, wide, a);
}

void dropout(bool wide, int threads, i64 n, std::uint64_t seed, std::uint32_t threshold, double scale,
             Address x, Address out) {
  StepArgs a = sizes(threads, n, 1, 1);
  a.x = at(x), a.out = at(out), a.drop = drop_of(seed, threshold, scale);
  run(kDropout, wide, a);
}

#define TOPODIFF_OSCILLATOR bool wide, int threads, i64 n, double step, double damping, double control, int activation

StepArgs of_oscillator(int threads, i64 n, double step, double damping, double control, int activation) {
  StepArgs a = sizes(threads, n, 1, 1);
  a.step = step, a.damping = damping, a.control = control, a.activation = activation;
  return a;
}

void oscillator(TOPODIFF_OSCILLATOR, Address x, Address v, Address z, Address out_x, Address out_v) {
  StepArgs a = of_oscillator(threads, n, step, damping, control, activation);
  a.x = at(x), a.v = at(v), a.z = at(z), a.out = at(out_x), a.out2 = at(out_v);
  run(kOscillator, wide, a);
}

void oscillator_backward(TOPODIFF_OSCILLATOR, Address of_x, Address of_v, Address z, Address dx, Address dv,
                         Address dz) {
  StepArgs a = of_oscillator(threads, n, step, damping, control, activation);
  a.grad = at(of_x), a.grad2 = at(of_v), a.z = at(z), a.out = at(dx), a.out2 = at(dv), a.out3 = at(dz);
  run(kOscillatorBackward, wide, a);
}

}  // namespace

void bind_step(nb::module_& m) {
  m.attr("step_block") = kStepBlock;
  m.def("residual", &residual);
  m.def("residual_backward", &residual_backward);
  m.def("dropout", &dropout);
  m.def("oscillator", &oscillator);
  m.def("oscillator_backward", &oscillator_backward);
}

}  // namespace topodiff
