// Python face of the kernels of linear.hpp.
#include "bind.hpp"
#include "linear.hpp"

namespace topodiff {
namespace {

bool run(LinearId id, bool wide, bool wide_index, const LinearArgs& args) {
  return without_gil(in_use(baseline_linear, avx2_linear, avx512_linear).kernels[id][wide][wide_index], args);
}

#define TOPODIFF_STATE                                                                                        \
  bool wide, int threads, i64 n, i64 dim, i64 channels, std::uint64_t seed, std::uint32_t threshold, double scale, \
      Address x

LinearArgs state(int threads, i64 n, i64 dim, i64 channels, const Drop& drop, Address x) {
  LinearArgs a{};
  a.n = n, a.dim = dim, a.channels = channels, a.drop = drop, a.threads = threads, a.x = at(x);
  return a;
}

void stalk_linear(TOPODIFF_STATE, Address left, Address right, Address out) {
  LinearArgs a = state(threads, n, dim, channels, drop_of(seed, threshold, scale), x);
  a.left = at(left), a.right = at(right), a.out = at(out);
  run(kStalkLinear, wide, true, a);
}

void stalk_linear_backward(TOPODIFF_STATE, Address left, Address right, Address grad, Address dx, Address dleft,
                           Address dright) {
  LinearArgs a = state(threads, n, dim, channels, drop_of(seed, threshold, scale), x);
  a.left = at(left), a.right = at(right), a.grad = at(grad);
  a.dx = at(dx), a.dleft = at(dleft), a.dright = at(dright);
  run(kStalkLinearBackward, wide, true, a);
}

#define TOPODIFF_PAIRS                                                                                            \
  Address weight, i64 outputs, i64 width, int activation, bool wide_index, i64 nnz, Address face, Address ptr,      \
      Address order, Address projected

void set_pairs(LinearArgs& a, Address weight, i64 outputs, i64 width, int activation, i64 nnz, Address face,
               Address ptr, Address order, Address projected) {
  a.weight = at(weight), a.outputs = outputs, a.width = width, a.activation = activation, a.nnz = nnz;
  a.face = at(face), a.ptr = at(ptr), a.order = at(order), a.projected = at(projected);
}

bool pair_linear(TOPODIFF_STATE, TOPODIFF_PAIRS, Address out) {
  LinearArgs a = state(threads, n, dim, channels, drop_of(seed, threshold, scale), x);
  set_pairs(a, weight, outputs, width, activation, nnz, face, ptr, order, projected);
  a.out = at(out);
  return run(kPairLinear, wide, wide_index, a);
}

bool pair_linear_backward(TOPODIFF_STATE, TOPODIFF_PAIRS, Address grad, Address dx, Address dweight) {
  LinearArgs a = state(threads, n, dim, channels, drop_of(seed, threshold, scale), x);
  set_pairs(a, weight, outputs, width, activation, nnz, face, ptr, order, projected);
  a.grad = at(grad), a.dx = at(dx), a.dweight = at(dweight);
  return run(kPairLinearBackward, wide, wide_index, a);
}

}  // namespace

void bind_linear(nb::module_& m) {
  m.def("stalk_linear", &stalk_linear);
  m.def("stalk_linear_backward", &stalk_linear_backward);
  m.def("pair_linear", &pair_linear);
  m.def("pair_linear_backward", &pair_linear_backward);
}

}  // namespace topodiff
