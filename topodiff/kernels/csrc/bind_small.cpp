// Python face of the kernels for very small matrices.
#include "bind.hpp"
#include "small.hpp"

namespace topodiff {
namespace {

SmallArgs arguments(int threads, i64 n, int dim, Address a, Address b, Address out) {
  SmallArgs args{};
  args.a = at(a), args.b = at(b), args.out = at(out);
  args.n = n, args.dim = dim, args.threads = threads;
  return args;
}

void run(SmallId id, bool wide, const SmallArgs& args) {
  without_gil(in_use(baseline_small, avx2_small, avx512_small).kernels[id][wide], args);
}

void matmul(bool wide, int threads, i64 n, int dim, Address a, i64 a_stride, bool a_transposed,
            Address b, i64 b_stride, bool b_transposed, Address out) {
  SmallArgs args = arguments(threads, n, dim, a, b, out);
  args.a_stride = a_stride, args.b_stride = b_stride;
  args.a_transposed = a_transposed, args.b_transposed = b_transposed;
  run(kSmallMatmul, wide, args);
}

template <SmallId id>
void rotate(bool wide, int threads, i64 n, int dim, Address a, Address b, Address c, Address out,
            bool rotation) {
  SmallArgs args = arguments(threads, n, dim, a, b, out);
  args.c = at(c), args.rotation = rotation;
  run(id, wide, args);
}

void transports(bool wide, int threads, i64 n, int dim, Address maps, Address factor, Address out) {
  run(kTransports, wide, arguments(threads, n, dim, maps, factor, out));
}

void transports_backward(bool wide, int threads, i64 n, int dim, Address maps, Address factor, Address grad,
                         Address dmaps, Address dfactor) {
  SmallArgs args = arguments(threads, n, dim, maps, factor, dmaps);
  args.c = at(grad), args.out2 = at(dfactor);
  run(kTransportsBackward, wide, args);
}

}  // namespace

void bind_small(nb::module_& m) {
  m.attr("max_small_matrix") = kMaxSmall;
  m.attr("max_rotation") = kMaxRotation;
  m.def("small_matmul", &matmul);
  m.def("transports", &transports);
  m.def("transports_backward", &transports_backward);
  m.def("householder", &rotate<kHouseholder>);
  m.def("householder_backward", &rotate<kHouseholderBackward>);
  m.def("cayley", &rotate<kCayley>);
  m.def("cayley_backward", &rotate<kCayleyBackward>);
  m.def("exponential", &rotate<kExponential>);
  m.def("exponential_backward", &rotate<kExponentialBackward>);
}

}  // namespace topodiff
