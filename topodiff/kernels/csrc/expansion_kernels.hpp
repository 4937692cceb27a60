// out_t = sum over k of c_tk T_k(B) x by the three-term recurrence, each term in one pass over the matrix.
#pragma once
#include "expansion.hpp"
#include "gather_kernels.hpp"

namespace topodiff {
namespace {

// What rounding would swallow is not added.
constexpr double kSmallest = 1e-25;

// One term: into = factor B v - before, added to out times its coefficients. `into` may be `before`.
template <class T, class I>
struct Term {
  const ExpansionArgs& a;
  const T *v, *before;
  T* into;
  i64 k;

  template <class P>
  TOPODIFF_INLINE void collect(P piece, i64 s, const typename P::V* fresh) const {
    using V = typename P::V;
    const i64 C = a.channels;
    T* out = static_cast<T*>(a.out) + s * C + piece.at;
    for (i64 t = 0; t < a.times; ++t, out += a.rows * C) {
      const double c = a.coefficients[t * a.terms + k];
      if (k == 1) {
        const T first = T(a.coefficients[t * a.terms]);
        for (int i = 0; i < P::K; ++i)
          store(out + i * P::N, first * load<V>(v + s * C + piece.at + i * P::N) + T(c) * fresh[i]);
      } else if (c > kSmallest || c < -kSmallest) {
        for (int i = 0; i < P::K; ++i) store(out + i * P::N, load<V>(out + i * P::N) + T(c) * fresh[i]);
      }
    }
  }

  void rows(i64 first, i64 last) const {
    const i64 C = a.channels;
    const I *ptr = static_cast<const I*>(a.ptr), *index = static_cast<const I*>(a.index);
    const T* value = static_cast<const T*>(a.weight);
    const T factor = k == 1 ? 1 : 2, scale = factor * T(a.scale), shift = factor * T(a.shift);
    const bool far = rows_are_far<T>(a.rows, C);
    for_pieces<T, 4>(C, [&](auto piece) {
      using P = decltype(piece);
      using V = typename P::V;
      const T* base = v + piece.at;
      for (i64 s = first; s < last; ++s) {
        V sum[P::K] = {};
        for (i64 e = ptr[s]; e < ptr[s + 1]; ++e) {
          if (far) prefetch_row<P>(base, index[smaller(e + kAhead, a.nnz - 1)], C);
          const T* row = base + index[e] * C;
          for (int i = 0; i < P::K; ++i) sum[i] += value[e] * load<V>(row + i * P::N);
        }
        const i64 at = s * C + piece.at;
        for (int i = 0; i < P::K; ++i) {
          sum[i] = scale * sum[i] + shift * load<V>(v + at + i * P::N);
          if (before) sum[i] -= load<V>(before + at + i * P::N);
          store(into + at + i * P::N, sum[i]);
        }
        collect(piece, s, sum);
      }
    });
  }
};

template <class T, class I>
void expansion(const ExpansionArgs& a, Report* report) {
  const T *x = static_cast<const T*>(a.x), *v = x, *before = nullptr;
  T* buffers[2] = {static_cast<T*>(a.out2), static_cast<T*>(a.work)};
  if (!index_is_valid(static_cast<const I*>(a.index), 0, a.nnz, a.rows, report)) return;
  for (i64 k = 1; k < a.terms; ++k) {
    const Term<T, I> term{a, v, before, buffers[(k - 1) % 2], k};
    for_segments<I>(a, a.channels * sizeof(T), report, [&](i64 first, i64 last) { term.rows(first, last); });
    if (report->fault != Fault::none) return;
    before = v;
    v = term.into;
  }
}

const ExpansionTable kExpansionTable = {
    {{expansion<float, std::int32_t>, expansion<float, i64>}, {expansion<double, std::int32_t>, expansion<double, i64>}}};

}  // namespace
}  // namespace topodiff
