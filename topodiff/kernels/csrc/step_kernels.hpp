// The kernels of step.hpp for the instruction set that the including file is compiled for.
#pragma once
#include "split.hpp"
#include "step.hpp"
#include "vector_math.hpp"

namespace topodiff {
namespace {

template <class F>
TOPODIFF_INLINE void over_blocks(const StepArgs& a, i64 count, i64 values, F f) {
  const int threads = int(larger(1, smaller(a.threads, values / kValuesPerThread)));
  parallel(threads, threads == 1 ? 1 : 4 * threads, [&](i64 part, i64 parts) {
    for (i64 b = count * part / parts; b < count * (part + 1) / parts; ++b) f(b);
  });
}

template <class F>
TOPODIFF_INLINE void with_activation(int activation, F f) {
  if (activation == kIdentity) f(Count<kIdentity>{});
  else if (activation == kRelu) f(Count<kRelu>{});
  else if (activation == kElu) f(Count<kElu>{});
  else if (activation == kSilu) f(Count<kSilu>{});
  else f(Count<kTanh>{});
}

TOPODIFF_INLINE i64 num_blocks(i64 n) { return (n + kStepBlock - 1) / kStepBlock; }

template <class T>
void residual(const StepArgs& a) {
  const T *x = static_cast<const T*>(a.x), *z = static_cast<const T*>(a.z), *factor = static_cast<const T*>(a.factor);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  with_activation(a.activation, [&](auto act) {
    over_blocks(a, num_blocks(a.n), a.n * a.dim * C, [&](i64 block) {
      const i64 last = smaller(a.n, (block + 1) * kStepBlock) * a.dim;
      for (i64 row = block * kStepBlock * a.dim, k = 0; row < last; ++row, k = k + 1 == a.dim ? 0 : k + 1) {
        const T keep = 1 + factor[k];
        for_pieces<T, 2>(C, [&](auto piece) {
          using P = decltype(piece);
          using V = typename P::V;
          for (int i = 0; i < P::K; ++i) {
            const i64 at = row * C + piece.at + i * P::N;
            store(out + at, keep * load<V>(x + at) - activation_of<act.value, V, T>(load<V>(z + at)));
          }
        });
      }
    });
  });
}

template <class T>
void residual_backward(const StepArgs& a) {
  const T *x = static_cast<const T*>(a.x), *z = static_cast<const T*>(a.z), *factor = static_cast<const T*>(a.factor);
  const T* grad = static_cast<const T*>(a.grad);
  T *dx = static_cast<T*>(a.out), *dz = static_cast<T*>(a.out2), *partial = static_cast<T*>(a.partial);
  const i64 C = a.channels;
  with_activation(a.activation, [&](auto act) {
    over_blocks(a, num_blocks(a.n), a.n * a.dim * C, [&](i64 block) {
      T* sums = partial + block * a.dim;
      for (i64 k = 0; k < a.dim; ++k) sums[k] = 0;
      const i64 last = smaller(a.n, (block + 1) * kStepBlock) * a.dim;
      for (i64 row = block * kStepBlock * a.dim, k = 0; row < last; ++row, k = k + 1 == a.dim ? 0 : k + 1) {
        const T keep = 1 + factor[k];
        for_pieces<T, 2>(C, [&](auto piece) {
          using P = decltype(piece);
          using V = typename P::V;
          for (int i = 0; i < P::K; ++i) {
            const i64 at = row * C + piece.at + i * P::N;
            const V g = load<V>(grad + at);
            sums[k] += sum_of<V, T>(g * load<V>(x + at));
            store(dx + at, keep * g);
            store(dz + at, -g * derivative_of<act.value, V, T>(load<V>(z + at)));
          }
        });
      }
    });
  });
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
TOPODIFF_INLINE void drop(const StepArgs& a, const T* x, T* out, i64 i) {
  using V = Vec<T, N>;
  using U = Vec<std::uint32_t, N>;
  using Mask = Vec<typename IntOf<T>::type, N>;
  U place;
  for (int l = 0; l < N; ++l) place[l] = std::uint32_t(i) + l;
  const U random = scramble(scramble(place ^ a.seed_low) + a.seed_high);
  const Mask kept = __builtin_convertvector(random >= a.threshold, Mask);
  store(out + i, (V)((Mask)(load<V>(x + i) * T(a.scale)) & kept));
}

template <class T>
void dropout(const StepArgs& a) {
  const T* x = static_cast<const T*>(a.x);
  T* out = static_cast<T*>(a.out);
  constexpr int N = TOPODIFF_VECTOR_BYTES / sizeof(T);
  constexpr i64 kBlock = 8192;
  over_blocks(a, (a.n + kBlock - 1) / kBlock, a.n, [&](i64 block) {
    i64 i = block * kBlock;
    const i64 last = smaller(a.n, i + kBlock);
    for (; i + N <= last; i += N) drop<T, N>(a, x, out, i);
    for (; i < last; ++i) drop<T, 1>(a, x, out, i);
  });
}

template <class T>
void stalk_matmul(const StepArgs& a) {
  const T *x = static_cast<const T*>(a.x), *w = static_cast<const T*>(a.factor);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels, d = a.dim;
  const i64 row = a.transpose ? 1 : d, column = a.transpose ? d : 1;
  over_blocks(a, num_blocks(a.n), a.n * d * C, [&](i64 block) {
    const i64 last = smaller(a.n, (block + 1) * kStepBlock);
    for (i64 v = block * kStepBlock; v < last; ++v)
      for_pieces<T, 2>(C, [&](auto piece) {
        using P = decltype(piece);
        using V = typename P::V;
        const i64 at = v * d * C + piece.at;
        for (i64 i = 0; i < d; ++i) {
          V sum[P::K] = {};
          for (i64 j = 0; j < d; ++j)
            for (int k = 0; k < P::K; ++k) sum[k] += w[i * row + j * column] * load<V>(x + at + j * C + k * P::N);
          for (int k = 0; k < P::K; ++k) store(out + at + i * C + k * P::N, sum[k]);
        }
      });
  });
}

template <class T>
void stalk_outer(const StepArgs& a) {
  const T *x = static_cast<const T*>(a.x), *grad = static_cast<const T*>(a.grad);
  T* partial = static_cast<T*>(a.partial);
  const i64 C = a.channels, d = a.dim;
  over_blocks(a, num_blocks(a.n), a.n * d * C, [&](i64 block) {
    T* sums = partial + block * d * d;
    const i64 first = block * kStepBlock, last = smaller(a.n, first + kStepBlock);
    for (i64 i = 0; i < d; ++i)
      for (i64 j = 0; j < d; ++j) {
        T total = 0;
        for_pieces<T, 2>(C, [&](auto piece) {
          using P = decltype(piece);
          using V = typename P::V;
          V sum[P::K] = {};
          for (i64 v = first; v < last; ++v)
            for (int k = 0; k < P::K; ++k) {
              const i64 at = v * d * C + piece.at + k * P::N;
              sum[k] += load<V>(grad + at + i * C) * load<V>(x + at + j * C);
            }
          for (int k = 0; k < P::K; ++k) total += sum_of<V, T>(sum[k]);
        });
        sums[i * d + j] = total;
      }
  });
}

constexpr StepTable kStepTable = {{
    {residual<float>, residual<double>},
    {residual_backward<float>, residual_backward<double>},
    {dropout<float>, dropout<double>},
    {stalk_matmul<float>, stalk_matmul<double>},
    {stalk_outer<float>, stalk_outer<double>},
}};

}  // namespace
}  // namespace topodiff
