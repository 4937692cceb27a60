// Products of very many very small matrices: rows of b in vectors, unrolled for every dimension.
#pragma once
#include "small.hpp"
#include "split.hpp"

namespace topodiff {
namespace {

template <int D>
constexpr int kRowLanes = D <= 1 ? 1 : D <= 2 ? 2 : D <= 4 ? 4 : 8;

// out = a b. Reads b and writes out beyond the matrix, less than a row vector, which is less than a matrix.
template <class T, int D, bool TA, bool TB>
TOPODIFF_INLINE void small_product(const T* a, const T* b, T* out) {
  using V = Vec<T, kRowLanes<D>>;
  V rows[D];
#pragma GCC unroll 8
  for (int k = 0; k < D; ++k) {
    if constexpr (TB) {
      rows[k] = V{};
#pragma GCC unroll 8
      for (int j = 0; j < D; ++j) rows[k][j] = b[j * D + k];
    } else {
      rows[k] = load<V>(b + k * D);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < D; ++i) {
    V sum = rows[0] * a[i * (TA ? 1 : D)];
#pragma GCC unroll 8
    for (int k = 1; k < D; ++k) sum += rows[k] * a[TA ? k * D + i : i * D + k];
    store(out + i * D, sum);
  }
}

// A matrix with room behind it.
template <class T, int D>
struct Padded {
  T values[D * D + kRowLanes<D>] = {};
  Padded() = default;
  explicit Padded(const T* from) { __builtin_memcpy(values, from, D * D * sizeof(T)); }
};

template <class T, int D, bool TA, bool TB>
void small_products(const SmallArgs& args, i64 first, i64 last) {
  const T *a = static_cast<const T*>(args.a), *b = static_cast<const T*>(args.b);
  T* out = static_cast<T*>(args.out);
  const i64 sa = args.a_stride, sb = args.b_stride;
  const Padded<T, D> one(b);
  const T* shared = sb ? nullptr : one.values;
  for (i64 i = first; i < last - 1; ++i)
    small_product<T, D, TA, TB>(a + i * sa, shared ? shared : b + i * sb, out + i * D * D);
  // behind the last matrix there is nothing, or what another thread writes
  const Padded<T, D> end(b + (last - 1) * sb);
  Padded<T, D> result;
  small_product<T, D, TA, TB>(a + (last - 1) * sa, end.values, result.values);
  __builtin_memcpy(out + (last - 1) * D * D, result.values, D * D * sizeof(T));
}

template <class T, int D>
void small_products(const SmallArgs& a, i64 first, i64 last) {
  if (a.a_transposed && a.b_transposed) small_products<T, D, true, true>(a, first, last);
  else if (a.a_transposed) small_products<T, D, true, false>(a, first, last);
  else if (a.b_transposed) small_products<T, D, false, true>(a, first, last);
  else small_products<T, D, false, false>(a, first, last);
}

template <class T>
void small_matmul(const SmallArgs& a) {
  using Part = void (*)(const SmallArgs&, i64, i64);
  constexpr Part parts_of[kMaxSmall] = {small_products<T, 1>, small_products<T, 2>, small_products<T, 3>,
                                        small_products<T, 4>, small_products<T, 5>, small_products<T, 6>,
                                        small_products<T, 7>, small_products<T, 8>};
  const int threads = int(larger(1, smaller(a.threads, a.n * a.dim * a.dim / kValuesPerThread)));
  parallel(threads, threads, [&](i64 part, i64 parts) {
    const i64 first = a.n * part / parts, last = a.n * (part + 1) / parts;
    if (first < last) parts_of[a.dim - 1](a, first, last);
  });
}

}  // namespace
}  // namespace topodiff
