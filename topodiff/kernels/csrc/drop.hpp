// Dropout: whether an entry stays is computed from its position and the seed.
#pragma once
#include "simd.hpp"

namespace topodiff {

// Entries whose random number lies below the threshold become 0, others are scaled.
struct Drop {
  std::uint32_t seed_low = 0, seed_high = 0, threshold = 0;
  double scale = 1;
};

namespace {

TOPODIFF_INLINE Drop drop_of(std::uint64_t seed, std::uint32_t threshold, double scale) {
  return {std::uint32_t(seed), std::uint32_t(seed >> 32), threshold, scale};
}

// A permutation of 32-bit numbers without visible structure (Wellons, hash-prospector, "lowbias32").
template <class U>
TOPODIFF_INLINE U scramble(U h) {
  h = (h ^ (h >> 16)) * 0x21f0aaadu;
  h = (h ^ (h >> 15)) * 0xd35a2d97u;
  return h ^ (h >> 15);
}

// N entries from entry i on.
template <class T, int N>
TOPODIFF_INLINE void drop(const Drop& d, const T* x, T* out, i64 i) {
  using V = Vec<T, N>;
  using U = Vec<std::uint32_t, N>;
  using Mask = Vec<typename IntOf<T>::type, N>;
  U place;
  for (int l = 0; l < N; ++l) place[l] = l;
  place += std::uint32_t(i);  // apart: the loop is a constant
  const U random = scramble(scramble(place ^ d.seed_low) + d.seed_high);
  const Mask kept = __builtin_convertvector(random >= d.threshold, Mask);
  store(out, (V)((Mask)(load<V>(x) * T(d.scale)) & kept));
}

// The entries first.. of an array, `count` of them, which stand at x.
template <class T>
void drop_range(const Drop& d, i64 first, i64 count, const T* x, T* out) {
  constexpr int N = TOPODIFF_VECTOR_BYTES / sizeof(T);
  i64 i = 0;
  for (; i + N <= count; i += N) drop<T, N>(d, x + i, out + i, first + i);
  for (; i < count; ++i) drop<T, 1>(d, x + i, out + i, first + i);
}

}  // namespace
}  // namespace topodiff
