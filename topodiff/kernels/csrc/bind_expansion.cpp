// Python face of expansion.hpp.
#include "bind.hpp"
#include "expansion.hpp"

namespace topodiff {
namespace {

void chebyshev_sum(bool wide, bool wide_index, int threads, i64 rows, i64 nnz, i64 channels, i64 times, i64 terms,
                   double scale, double shift, Address x, Address index, Address ptr, Address value,
                   Address coefficients, Address out, Address first, Address second) {
  ExpansionArgs a;
  a.rows = a.segments = rows, a.nnz = nnz, a.channels = channels, a.threads = threads;
  a.times = times, a.terms = terms, a.scale = scale, a.shift = shift;
  a.x = at(x), a.index = at(index), a.ptr = at(ptr), a.weight = at(value);
  a.coefficients = static_cast<const double*>(at(coefficients));
  a.out = at(out), a.out2 = at(first), a.work = at(second);
  const auto kernel = in_use(baseline_expansion, avx2_expansion, avx512_expansion).kernels[wide][wide_index];
  run_checked(kernel, a, [&] { return index_range(rows); });
}

}  // namespace

void bind_expansion(nb::module_& m) { m.def("chebyshev_sum", &chebyshev_sum); }

}  // namespace topodiff
