// Python face of the linear maps with normalisation.
#include "bind.hpp"
#include "norm_linear.hpp"

namespace topodiff {
namespace {

void run(NormLinearId id, bool wide, const NormLinearArgs& args) {
  without_gil(in_use(baseline_norm_linear, avx2_norm_linear, avx512_norm_linear).kernels[id][wide], args);
}

#define TOPODIFF_NORM                                                                                              \
  bool wide, int threads, i64 rows, i64 groups, i64 in, i64 out, Address x, Address mean, Address var,             \
      Address gamma, Address beta, double eps, int activation, Address weight, Address bias

NormLinearArgs common(TOPODIFF_NORM) {
  (void)wide;
  NormLinearArgs a{};
  a.x = at(x), a.mean = at(mean), a.var = at(var), a.gamma = at(gamma), a.beta = at(beta);
  a.weight = at(weight), a.bias = at(bias), a.eps = eps, a.activation = activation, a.threads = threads;
  a.rows = rows, a.groups = groups, a.in = in, a.out = out;
  return a;
}
#define TOPODIFF_COMMON_ARGS \
  common(wide, threads, rows, groups, in, out, x, mean, var, gamma, beta, eps, activation, weight, bias)

void forward(TOPODIFF_NORM, Address count, Address y, Address y_mean, Address y_var) {
  NormLinearArgs a = TOPODIFF_COMMON_ARGS;
  a.count = at(count);
  a.y = at(y), a.y_mean = at(y_mean), a.y_var = at(y_var);
  run(weight ? kNormLinear : kNormActivation, wide, a);
}

void backward(TOPODIFF_NORM, Address count, Address y, Address y_mean, Address dy, Address dy_mean, Address dy_var,
              Address dx, Address dmean, Address dvar, Address dgamma, Address dbeta, Address dweight,
              Address dbias) {
  NormLinearArgs a = TOPODIFF_COMMON_ARGS;
  a.count = at(count);
  a.y = at(y), a.y_mean = at(y_mean), a.dy = at(dy), a.dy_mean = at(dy_mean), a.dy_var = at(dy_var);
  a.dx = at(dx), a.dmean = at(dmean), a.dvar = at(dvar), a.dgamma = at(dgamma), a.dbeta = at(dbeta);
  a.dweight = at(dweight), a.dbias = at(dbias);
  run(weight ? kNormLinearBackward : kNormActivationBackward, wide, a);
}

}  // namespace

void bind_norm_linear(nb::module_& m) {
  m.def("norm_linear", &forward);
  m.def("norm_linear_backward", &backward);
}

}  // namespace topodiff
