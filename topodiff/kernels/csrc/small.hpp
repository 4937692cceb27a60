// Very many very small matrices: products, and orthogonal matrices from parameters.
#pragma once
#include <cstdint>

namespace topodiff {

// n matrices of dim x dim, one after the other unless a stride says otherwise.
struct SmallArgs {
  const void *a, *b, *c;          // see the kernels
  void *out, *out2;
  std::int64_t n;
  std::int64_t a_stride, b_stride;  // values between matrices: dim * dim or more, or 0 for one that serves all
  int dim, threads;
  bool a_transposed, b_transposed;
  bool rotation;  // of a product of reflections: determinant +1 instead of (-1)^dim
};

using SmallKernel = void (*)(const SmallArgs&);

enum SmallId {
  kSmallMatmul,          // a, b -> a_i b_i
  kHouseholder,          // parameters a -> matrices
  kHouseholderBackward,  // parameters a, gradient b of the matrices -> that of the parameters
  kCayley,               // parameters a -> matrices
  kCayleyBackward,       // matrices a, their gradient b, parameters c -> gradient of the parameters
  kExponential,          // parameters a -> matrices, dim 3 or 4
  kExponentialBackward,  // parameters a, gradient b of the matrices -> that of the parameters
  kTransports,           // matrices a (two for each of n edges), factors b -> b_e a_{2e+1}^T a_{2e}
  kTransportsBackward,   // a, b, gradient c of the transports -> out, that of a, and out2, that of b
  kNumSmall
};

constexpr int kMaxSmall = 8;      // largest matrices of products
constexpr int kMaxRotation = 16;  // and of rotations

struct SmallTable {
  SmallKernel kernels[kNumSmall][2];  // [kernel][float64]
};

// Null where the compiler was not asked for the instruction set.
const SmallTable* baseline_small();
const SmallTable* avx2_small();
const SmallTable* avx512_small();

}  // namespace topodiff
