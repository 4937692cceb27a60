// Transports along edges, b_e F_head^T F_tail, and their gradient, from the maps of both ends as they lie in memory.
#pragma once
#include "small_matmul.hpp"

namespace topodiff {
namespace {

template <class T, int D>
TOPODIFF_INLINE void store_scaled(const Padded<T, D>& matrix, T factor, T* out) {
#pragma GCC unroll 64
  for (int i = 0; i < D * D; ++i) out[i] = factor * matrix.values[i];
}

template <class T, int D>
void transports(const SmallArgs& args, i64 first, i64 last) {
  const T *maps = static_cast<const T*>(args.a), *factor = static_cast<const T*>(args.b);
  T* out = static_cast<T*>(args.out);
  Padded<T, D> product;
  for (i64 e = first; e < last; ++e) {
    const Padded<T, D> tail(maps + 2 * e * D * D);
    small_product<T, D, true, false>(maps + (2 * e + 1) * D * D, tail.values, product.values);
    store_scaled(product, factor[e], out + e * D * D);
  }
}

// With G the gradient of the transport: b F_tail G^T for the head, b F_head G for the tail, sum(G F_head^T F_tail) for b.
template <class T, int D>
void transports_backward(const SmallArgs& args, i64 first, i64 last) {
  const T *maps = static_cast<const T*>(args.a), *factor = static_cast<const T*>(args.b);
  const T* grad = static_cast<const T*>(args.c);
  T *dmaps = static_cast<T*>(args.out), *dfactor = static_cast<T*>(args.out2);
  Padded<T, D> product;
  for (i64 e = first; e < last; ++e) {
    const Padded<T, D> tail(maps + 2 * e * D * D), head(maps + (2 * e + 1) * D * D), g(grad + e * D * D);
    small_product<T, D, false, false>(head.values, g.values, product.values);
    store_scaled(product, factor[e], dmaps + 2 * e * D * D);
    T sum = 0;  // of G F_head^T F_tail = F_tail (F_head G)
#pragma GCC unroll 64
    for (int i = 0; i < D * D; ++i) sum += tail.values[i] * product.values[i];
    dfactor[e] = sum;
    small_product<T, D, false, true>(tail.values, g.values, product.values);
    store_scaled(product, factor[e], dmaps + (2 * e + 1) * D * D);
  }
}

using SmallPart = void (*)(const SmallArgs&, i64, i64);

TOPODIFF_INLINE void over_edges(const SmallArgs& a, SmallPart run) {
  const int threads = int(larger(1, smaller(a.threads, a.n * a.dim * a.dim / kValuesPerThread)));
  parallel(threads, threads, [&](i64 part, i64 parts) { run(a, a.n * part / parts, a.n * (part + 1) / parts); });
}

template <class T>
void transports(const SmallArgs& a) {
  constexpr SmallPart of[kMaxSmall] = {transports<T, 1>, transports<T, 2>, transports<T, 3>, transports<T, 4>,
                                       transports<T, 5>, transports<T, 6>, transports<T, 7>, transports<T, 8>};
  over_edges(a, of[a.dim - 1]);
}

template <class T>
void transports_backward(const SmallArgs& a) {
  constexpr SmallPart of[kMaxSmall] = {transports_backward<T, 1>, transports_backward<T, 2>, transports_backward<T, 3>,
                                       transports_backward<T, 4>, transports_backward<T, 5>, transports_backward<T, 6>,
                                       transports_backward<T, 7>, transports_backward<T, 8>};
  over_edges(a, of[a.dim - 1]);
}

}  // namespace
}  // namespace topodiff
