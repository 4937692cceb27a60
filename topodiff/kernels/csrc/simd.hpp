// Vectors of the width that the including file is compiled for, and loops over channels in pieces of them.
// Nothing here may come from the standard library: an inline function shared with the baseline objects could be linked
// in its AVX-512 version.
#pragma once
#include <cstdint>

#if defined(__AVX512F__)
#define TOPODIFF_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define TOPODIFF_VECTOR_BYTES 32
#else
#define TOPODIFF_VECTOR_BYTES 16
#endif
#define TOPODIFF_INLINE inline __attribute__((always_inline))

namespace topodiff {
namespace {

using i64 = std::int64_t;

template <class T>
struct IntOf;
template <>
struct IntOf<float> {
  using type = std::int32_t;
};
template <>
struct IntOf<double> {
  using type = std::int64_t;
};

template <class I>
struct UnsignedOf;
template <>
struct UnsignedOf<std::int32_t> {
  using type = std::uint32_t;
};
template <>
struct UnsignedOf<std::int64_t> {
  using type = std::uint64_t;
};

// N values of T. N = 1 is a vector too, so that one source serves every width.
template <class T, int N>
struct Lanes {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
  typedef T unaligned __attribute__((vector_size(N * sizeof(T)), aligned(alignof(T)), may_alias));
};
template <class T, int N>
using Vec = typename Lanes<T, N>::type;

template <class V, class T>
TOPODIFF_INLINE V load(const T* p) {
  typedef typename Lanes<T, sizeof(V) / sizeof(T)>::unaligned U;
  return (V)*reinterpret_cast<const U*>(p);
}
template <class V, class T>
TOPODIFF_INLINE void store(T* p, V v) {
  typedef typename Lanes<T, sizeof(V) / sizeof(T)>::unaligned U;
  *reinterpret_cast<U*>(p) = (U)v;
}
template <class V, class T>
TOPODIFF_INLINE V fill(T value) {
  return V{} + value;
}
// Halves are added to each other: few steps that wait for one another.
template <class V, class T>
TOPODIFF_INLINE T sum_of(V v) {
  constexpr int N = sizeof(V) / sizeof(T);
  if constexpr (N == 1) {
    return v[0];
  } else {
    using Half = Vec<T, N / 2>;
    Half low, high;
    __builtin_memcpy(&low, &v, sizeof(Half));
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof(Half), sizeof(Half));
    return sum_of<Half, T>(low + high);
  }
}

template <int N>
struct Count {
  static constexpr int value = N;
};

// A piece of the channels: K vectors of N values, from channel `at`.
template <class T_, int N_, int K_>
struct Piece {
  using T = T_;
  using V = Vec<T_, N_>;
  using I = Vec<typename IntOf<T_>::type, N_>;
  static constexpr int N = N_, K = K_;
  i64 at;
  TOPODIFF_INLINE i64 offset(int k) const { return k * N; }
};

// The same, its last vector at an offset of its own, so that it may overlap the one before.
template <class T, int N, int K>
struct Cover : Piece<T, N, K> {
  i64 last;
  TOPODIFF_INLINE i64 offset(int k) const { return k == K - 1 ? last : k * N; }
};

template <class T, int N, class F>
TOPODIFF_INLINE void small_pieces(i64 at, i64 channels, F&& f) {
  for (; channels - at >= N; at += N) f(Piece<T, N, 1>{at});
  if constexpr (N > 1) small_pieces<T, N / 2>(at, channels, f);
}

// Cuts the channels into pieces: as many full vectors at a time as fit into registers, then halves for the odd rest.
// A functor that keeps several arrays in registers asks for fewer vectors (MaxK).
template <class T, int MaxK, class F>
TOPODIFF_INLINE void for_pieces(i64 channels, F&& f) {
  constexpr int N = TOPODIFF_VECTOR_BYTES / sizeof(T);
  i64 at = 0;
  if constexpr (MaxK >= 8)
    for (; channels - at >= 8 * N; at += 8 * N) f(Piece<T, N, 8>{at});
  if constexpr (MaxK >= 4)
    for (; channels - at >= 4 * N; at += 4 * N) f(Piece<T, N, 4>{at});
  for (; channels - at >= 2 * N; at += 2 * N) f(Piece<T, N, 2>{at});
  small_pieces<T, N>(at, channels, f);
}

// The same in fewer pieces, where some channels may be seen twice: for functors that write what they find, add it to
// nothing, and pass over many rows with each piece.
template <class T, class F>
TOPODIFF_INLINE void for_cover(i64 channels, F&& f) {
  constexpr int N = TOPODIFF_VECTOR_BYTES / sizeof(T);
  if constexpr (N > 1)
    if (channels < N) return small_pieces<T, N / 2>(0, channels, f);
  i64 at = 0;
  for (; channels - at >= 8 * N; at += 8 * N) f(Piece<T, N, 8>{at});
  if (channels - at >= 4 * N) f(Piece<T, N, 4>{at}), at += 4 * N;
  const i64 rest = channels - at, last = rest - N;
  if (rest > 3 * N) f(Cover<T, N, 4>{{at}, last});
  else if (rest > 2 * N) f(Cover<T, N, 3>{{at}, last});
  else if (rest > N) f(Cover<T, N, 2>{{at}, last});
  else if (rest > 0) f(Cover<T, N, 1>{{at}, last});
}

// Asks for a cache line, into the second cache: it takes twice as many requests at a time as the first, and rows at
// random come twice as fast.
TOPODIFF_INLINE void prefetch(std::uintptr_t address) { __builtin_prefetch(reinterpret_cast<const char*>(address), 0, 2); }

// Asks for a piece of row `i` of x. The row need not exist.
template <class P, class T>
TOPODIFF_INLINE void prefetch_row(const T* x, i64 i, i64 stride) {
  const std::uintptr_t row = reinterpret_cast<std::uintptr_t>(x) + std::uintptr_t(i) * std::uintptr_t(stride) * sizeof(T);
  for (unsigned b = 0; b < P::K * P::N * sizeof(T); b += 64) prefetch(row + b);
}

TOPODIFF_INLINE i64 smaller(i64 a, i64 b) { return a < b ? a : b; }
TOPODIFF_INLINE i64 larger(i64 a, i64 b) { return a < b ? b : a; }

}  // namespace
}  // namespace topodiff
