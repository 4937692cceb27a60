// The kernels of step.hpp for the instruction set that the including file is compiled for.
#pragma once
#include "drop.hpp"
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

template <class T>
void dropout(const StepArgs& a) {
  const T* x = static_cast<const T*>(a.x);
  T* out = static_cast<T*>(a.out);
  constexpr i64 kBlock = 8192;
  over_blocks(a, (a.n + kBlock - 1) / kBlock, a.n, [&](i64 block) {
    const i64 first = block * kBlock;
    drop_range(a.drop, first, smaller(kBlock, a.n - first), x + first, out + first);
  });
}

// f(piece) on pieces of all values, in parallel.
template <class T, class F>
TOPODIFF_INLINE void over_values(const StepArgs& a, F f) {
  constexpr i64 kBlock = 8192;
  over_blocks(a, (a.n + kBlock - 1) / kBlock, a.n, [&](i64 block) {
    small_pieces<T, TOPODIFF_VECTOR_BYTES / sizeof(T)>(block * kBlock, smaller(a.n, (block + 1) * kBlock), f);
  });
}

template <class T>
void oscillator(const StepArgs& a) {
  const T *x = static_cast<const T*>(a.x), *v = static_cast<const T*>(a.v), *z = static_cast<const T*>(a.z);
  T *out_x = static_cast<T*>(a.out), *out_v = static_cast<T*>(a.out2);
  const T h = T(a.step), damping = T(a.damping), control = T(a.control);
  with_activation(a.activation, [&](auto act) {
    over_values<T>(a, [&](auto piece) {
      using V = typename decltype(piece)::V;
      const i64 i = piece.at;
      const V xi = load<V>(x + i), vi = load<V>(v + i);
      const V next = vi + h * (activation_of<decltype(act)::value, V, T>(load<V>(z + i)) - control * xi - damping * vi);
      store(out_v + i, next);
      store(out_x + i, xi + h * next);
    });
  });
}

template <class T>
void oscillator_backward(const StepArgs& a) {
  const T *of_x = static_cast<const T*>(a.grad), *of_v = static_cast<const T*>(a.grad2), *z = static_cast<const T*>(a.z);
  T *dx = static_cast<T*>(a.out), *dv = static_cast<T*>(a.out2), *dz = static_cast<T*>(a.out3);
  const T h = T(a.step), damping = T(a.damping), control = T(a.control);
  with_activation(a.activation, [&](auto act) {
    over_values<T>(a, [&](auto piece) {
      using V = typename decltype(piece)::V;
      const i64 i = piece.at;
      const V gx = load<V>(of_x + i), total = load<V>(of_v + i) + h * gx, change = h * total;
      store(dx + i, gx - control * change);
      store(dv + i, total - damping * change);
      store(dz + i, change * derivative_of<decltype(act)::value, V, T>(load<V>(z + i)));
    });
  });
}

constexpr StepTable kStepTable = {{
    {residual<float>, residual<double>},
    {residual_backward<float>, residual_backward<double>},
    {dropout<float>, dropout<double>},
    {oscillator<float>, oscillator<double>},
    {oscillator_backward<float>, oscillator_backward<double>},
}};

}  // namespace
}  // namespace topodiff
