// Sums of Chebyshev polynomials of a sparse matrix, times a block of vectors (topodiff.kernels.chebyshev_sum).
#pragma once
#include "kernel_table.hpp"

namespace topodiff {

// x (rows, channels); matrix in compressed rows: ptr, index, weight; the last two terms end up in two of x, out2, work.
struct ExpansionArgs : Args {
  void* work = nullptr;                  // like x
  const double* coefficients = nullptr;  // (times, terms), terms >= 2
  std::int64_t times = 0, terms = 0;
  double scale = 1, shift = 0;  // B = scale A + shift I
};

using ExpansionKernel = void (*)(const ExpansionArgs&, Report*);

struct ExpansionTable {
  ExpansionKernel kernels[2][2];  // [float64][int64]
};

// Null where the compiler was not asked for the instruction set.
const ExpansionTable* baseline_expansion();
const ExpansionTable* avx2_expansion();
const ExpansionTable* avx512_expansion();

}  // namespace topodiff
