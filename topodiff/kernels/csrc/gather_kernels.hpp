// Weighted gathers: out[s] = sum over entries of weight[e] x[index[e]], its transpose, and gradients of the weight.
#pragma once
#include "segment_kernels.hpp"

namespace topodiff {
namespace {

constexpr i64 kAhead = 32;  // rows are asked for this many entries before they are used

// The weight of an entry; entry numbers go through `perm` where there is one.
template <class T, class W>
struct Weights {
  const W* values;
  TOPODIFF_INLINE T operator[](i64 e) const { return T(values[e]); }
};
struct Unit {};
template <class T>
struct Weights<T, Unit> {
  TOPODIFF_INLINE T operator[](i64) const { return T(1); }
};

template <class T, class I, class F>
TOPODIFF_INLINE void with_weights(const Args& a, F f) {
  if (a.weight_kind == 0) f(Weights<T, Unit>{});
  else if (a.weight_kind == 1) f(Weights<T, T>{static_cast<const T*>(a.weight)});
  else f(Weights<T, I>{static_cast<const I*>(a.weight)});
}

// Entry numbers of an order: the given permutation, or as they come.
template <class I>
struct Permuted {
  const I* perm;
  TOPODIFF_INLINE i64 operator[](i64 k) const { return perm[k]; }
};
struct InOrder {
  TOPODIFF_INLINE i64 operator[](i64 k) const { return k; }
};

// Whether the entries of a block are in range: the permutation first, then the index it leads to.
template <class I>
TOPODIFF_INLINE bool entries_valid(const Args& a, const I* index, InOrder, i64 b, i64 e, Report* report) {
  return index_is_valid(index, b, e, a.rows, report);
}
template <class I>
bool entries_valid(const Args& a, const I* index, Permuted<I> order, i64 b, i64 e, Report* report) {
  if (!index_is_valid(order.perm, b, e, a.nnz, report)) return false;
  for (i64 k = b; k < e; ++k)
    if (!index_is_valid(index, order.perm[k], order.perm[k] + 1, a.rows, report)) return false;
  return true;
}

// Whether rows are asked for early: not where all of them fit into the second cache anyway.
template <class T>
TOPODIFF_INLINE bool rows_are_far(i64 rows, i64 channels) {
  return rows * channels * i64(sizeof(T)) > (1 << 20);
}

// Asks for x[i], which need not exist.
template <class T>
TOPODIFF_INLINE void prefetch_value(const T* x, i64 i) {
  prefetch(reinterpret_cast<std::uintptr_t>(x) + std::uintptr_t(i) * sizeof(T));
}

// One channel: products of many entries first, side by side, then their sums, so that neither loop waits for the other.
template <class T, class I, class Order, class W>
void gather_values(const Args& a, Order order, W weight, i64 first, i64 last) {
  constexpr i64 kValues = 1024;
  const T* x = static_cast<const T*>(a.x);
  const I* ptr = static_cast<const I*>(a.ptr);
  const I* index = static_cast<const I*>(a.index);
  T* out = static_cast<T*>(a.out);
  T products[kValues + TOPODIFF_VECTOR_BYTES / sizeof(T)];
  auto multiply = [&](i64 begin, i64 end) {
    for (i64 k = begin; k < end; ++k) products[k - begin] = weight[order[k]] * x[index[order[k]]];
  };
  for (i64 s = first; s < last;) {
    const i64 begin = ptr[s];
    i64 stop = s;
    while (stop < last && ptr[stop + 1] - begin <= kValues) ++stop;
    if (stop == s) {  // one segment of many entries
      T sum = 0;
      const i64 end = ptr[s + 1];
      for (i64 k = begin; k < end; k += kValues) {
        multiply(k, smaller(k + kValues, end));
        sum += sum_padded_run(products, smaller(kValues, end - k));
      }
      out[s] = sum * mean_scale<T>(a, end - begin);
      ++s;
      continue;
    }
    multiply(begin, ptr[stop]);
    for (; s < stop; ++s)
      out[s] = sum_padded_run(products + (ptr[s] - begin), ptr[s + 1] - ptr[s]) * mean_scale<T>(a, ptr[s + 1] - ptr[s]);
  }
}

template <class T, class I, class Order, class W>
void gather_sum_with(const Args& a, Order order, W weight, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* ptr = static_cast<const I*>(a.ptr);
  const I* index = static_cast<const I*>(a.index);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  const bool far = rows_are_far<T>(a.rows, C);
  for_segments<I>(a, C * sizeof(T), report, [&](i64 first, i64 last) {
    if (!entries_valid(a, index, order, ptr[first], ptr[last], report)) return;
    if (C == 1 && far) return gather_values<T, I>(a, order, weight, first, last);
    if (C == 1) {
      for (i64 s = first; s < last; ++s) {
        T sum = 0;
        for (i64 k = ptr[s]; k < ptr[s + 1]; ++k) sum += weight[order[k]] * x[index[order[k]]];
        out[s] = sum * mean_scale<T>(a, ptr[s + 1] - ptr[s]);
      }
      return;
    }
    for_cover<T>(C, [&](auto piece) {
      using P = decltype(piece);
      using V = typename P::V;
      const T* base = x + piece.at;
      const i64 readable = (a.perm ? ptr[last] : a.nnz) - 1;  // beyond, the permutation is not checked yet
      for (i64 s = first; s < last; ++s) {
        const i64 begin = ptr[s], end = ptr[s + 1];
        V acc[P::K] = {};
        for (i64 k = begin; k < end; ++k) {
          const i64 e = order[k];
          if (far) prefetch_row<P>(base, index[order[smaller(k + kAhead, readable)]], C);
          const T* row = base + index[e] * C;
          for (int i = 0; i < P::K; ++i) acc[i] += weight[e] * load<V>(row + piece.offset(i));
        }
        const T scale = mean_scale<T>(a, end - begin);
        for (int i = 0; i < P::K; ++i) store(out + s * C + piece.at + piece.offset(i), acc[i] * scale);
      }
    });
  });
}

template <class T, class I>
void gather_sum(const Args& a, Report* report) {
  with_weights<T, I>(a, [&](auto weight) {
    if (a.perm) gather_sum_with<T, I>(a, Permuted<I>{static_cast<const I*>(a.perm)}, weight, report);
    else gather_sum_with<T, I>(a, InOrder{}, weight, report);
  });
}

template <class T, class I>
void gather_extreme(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* ptr = static_cast<const I*>(a.ptr);
  const I* index = static_cast<const I*>(a.index);
  T* out = static_cast<T*>(a.out);
  i64* where = static_cast<i64*>(a.out2);
  const i64 C = a.channels;
  auto run = [&](auto largest, auto wanted) {
    for_segments<I>(a, C * sizeof(T), report, [&](i64 first, i64 last) {
      if (!index_is_valid(index, ptr[first], ptr[last], a.rows, report)) return;
      with_weights<T, I>(a, [&](auto weight) {
        for_pieces<T, 4>(C, [&](auto piece) {
          using P = decltype(piece);
          using V = typename P::V;
          for (i64 s = first; s < last; ++s) {
            const i64 begin = ptr[s], end = ptr[s + 1], at = s * C + piece.at;
            i64* w = where ? where + at : nullptr;
            if (begin == end) {
              empty_extreme<P>(out + at, w);
              continue;
            }
            V v[P::K];
            auto read = [&](i64 e) {
              prefetch_row<P>(x + piece.at, index[smaller(e + kAhead, a.nnz - 1)], C);
              const T* row = x + index[e] * C + piece.at;
              for (int k = 0; k < P::K; ++k) v[k] = weight[e] * load<V>(row + k * P::N);
            };
            Extreme<P, largest.value, wanted.value> extreme;
            read(begin);
            extreme.start(v);
            for (i64 e = begin + 1; e < end; ++e) read(e), extreme.take(v, e - begin);
            extreme.finish(begin, out + at, w);
          }
        });
      });
    });
  };
  with_flags(a.largest, where != nullptr, run);
}

// Transpose of gather_sum: out[index[e]] += weight[e] x[s]. Each part owns a range of rows of out and reads all entries.
template <class T, class I>
void spread_sum(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* ptr = static_cast<const I*>(a.ptr);
  const I* index = static_cast<const I*>(a.index);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  if (!ptr_ends_right<I>(a, report)) return;
  for_owned_rows(a, a.rows, [&](i64 low, i64 high) {
    zero_rows(out, low, high, C);
    with_weights<T, I>(a, [&](auto weight) {
      walk_segments<I>(a, 0, a.segments, C * sizeof(T), report, [&](i64 first, i64 last) {
        if (!index_is_valid(index, ptr[first], ptr[last], a.rows, report)) return;
        for_pieces<T, 4>(C, [&](auto piece) {
          using P = decltype(piece);
          using V = typename P::V;
          for (i64 s = first; s < last; ++s) {
            const T scale = mean_scale<T>(a, ptr[s + 1] - ptr[s]);
            V row[P::K];
            for (int k = 0; k < P::K; ++k) row[k] = load<V>(x + s * C + piece.at + k * P::N) * scale;
            for (i64 e = ptr[s]; e < ptr[s + 1]; ++e) {
              const i64 i = index[e];
              if (i < low || i >= high) continue;
              T* target = out + i * C + piece.at;
              prefetch_row<P>(out + piece.at, index[smaller(e + kAhead, a.nnz - 1)], C);
              for (int k = 0; k < P::K; ++k)
                store(target + k * P::N, load<V>(target + k * P::N) + weight[e] * row[k]);
            }
          }
        });
      });
    });
  });
}

// out[e] = <x[index[e]], y[s]> (times 1 / count for a mean).
template <class T, class I>
void gather_dot(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const T* y = static_cast<const T*>(a.y);
  const I* ptr = static_cast<const I*>(a.ptr);
  const I* index = static_cast<const I*>(a.index);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  for_segments<I>(a, C * sizeof(T), report, [&](i64 first, i64 last) {
    if (!index_is_valid(index, ptr[first], ptr[last], a.rows, report)) return;
    for (i64 e = ptr[first]; e < ptr[last]; ++e) out[e] = 0;
    for_pieces<T, 4>(C, [&](auto piece) {
      using P = decltype(piece);
      using V = typename P::V;
      for (i64 s = first; s < last; ++s) {
        const T scale = mean_scale<T>(a, ptr[s + 1] - ptr[s]);
        V row[P::K];
        for (int k = 0; k < P::K; ++k) row[k] = load<V>(y + s * C + piece.at + k * P::N) * scale;
        for (i64 e = ptr[s]; e < ptr[s + 1]; ++e) {
          prefetch_row<P>(x + piece.at, index[smaller(e + kAhead, a.nnz - 1)], C);
          const T* other = x + index[e] * C + piece.at;
          V acc = row[0] * load<V>(other);
          for (int k = 1; k < P::K; ++k) acc += row[k] * load<V>(other + k * P::N);
          out[e] += sum_of<V, T>(acc);
        }
      }
    });
  });
}

}  // namespace
}  // namespace topodiff
