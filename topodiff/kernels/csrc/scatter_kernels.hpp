// Reductions over an unsorted index, and single values moved to and from given rows.
// Each part owns a range of output rows and reads the whole index: no atomics, no sort, and the order of additions is
// the order of entries whatever the number of threads.
#pragma once
#include "gather_kernels.hpp"
#include "scratch.hpp"

namespace topodiff {
namespace {

// visit(begin, end) over blocks of valid entries.
template <class I, class F>
void walk_entries(const Args& a, i64 entry_bytes, Report* report, F visit) {
  const I* index = static_cast<const I*>(a.index);
  const i64 per_block = larger(64, kBlockBytes / larger(1, entry_bytes));
  for (i64 begin = 0; begin < a.nnz; begin += per_block) {
    const i64 end = smaller(begin + per_block, a.nnz);
    if (!index_is_valid(index, begin, end, a.segments, report)) return;
    visit(begin, end);
  }
}

// How many entries have each of the rows low..high - 1.
template <class I>
void count_entries(const Args& a, i64 low, i64 high, i64* counts) {
  const I* index = static_cast<const I*>(a.index);
  const bool far = rows_are_far<i64>(a.segments, 1);
  for (i64 s = low; s < high; ++s) counts[s] = 0;
  for (i64 e = 0; e < a.nnz; ++e) {
    if (index[e] < low || index[e] >= high) continue;
    if (far) prefetch_value(counts, index[smaller(e + kAhead, a.nnz - 1)]);
    ++counts[index[e]];
  }
}

template <class T, class I>
void divide_by_counts(const Args& a, i64 low, i64 high) {
  i64* counts = static_cast<i64*>(a.out2);
  T* out = static_cast<T*>(a.out);
  count_entries<I>(a, low, high, counts);
  for (i64 s = low; s < high; ++s) {
    const T scale = mean_scale<T>(a, counts[s]);
    for (i64 c = 0; c < a.channels; ++c) out[s * a.channels + c] *= scale;
  }
}

template <class T, class I>
void scatter_sum(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* index = static_cast<const I*>(a.index);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  const bool far = rows_are_far<T>(a.segments, C);
  for_owned_rows(a, a.segments, [&](i64 low, i64 high) {
    zero_rows(out, low, high, C);
    const bool owns_all = low == 0 && high == a.segments;
    walk_entries<I>(a, C * sizeof(T), report, [&](i64 begin, i64 end) {
      if (C == 1 && owns_all && !far) {
        for (i64 e = begin; e < end; ++e) out[index[e]] += x[e];
        return;
      }
      for_pieces<T, 8>(C, [&](auto piece) {
        using P = decltype(piece);
        using V = typename P::V;
        for (i64 e = begin; e < end; ++e) {
          const i64 i = index[e];
          if (i < low || i >= high) continue;
          if (far) prefetch_row<P>(out + piece.at, index[smaller(e + kAhead, a.nnz - 1)], C);
          T* target = out + i * C + piece.at;
          for (int k = 0; k < P::K; ++k)
            store(target + k * P::N, load<V>(target + k * P::N) + load<V>(x + e * C + piece.at + k * P::N));
        }
      });
    });
    if (a.mean && report->fault == Fault::none) divide_by_counts<T, I>(a, low, high);
  });
}

// x[s] / counts[s], where counts[s] entries have that index.
template <class T, class I>
void divide_rows(const Args& a, const T* x, T* out) {
  i64* counts = static_cast<i64*>(a.out2);
  count_entries<I>(a, 0, a.segments, counts);
  for (i64 s = 0; s < a.segments; ++s) {
    const T scale = mean_scale<T>(a, counts[s]);
    for (i64 c = 0; c < a.channels; ++c) out[s * a.channels + c] = x[s * a.channels + c] * scale;
  }
}

// out[e] = x[index[e]], divided by the count of that index for a mean (transpose of scatter_sum).
template <class T, class I>
void scatter_expand(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* index = static_cast<const I*>(a.index);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  Scratch<T> divided(a.mean ? a.segments * C : 0);
  if (a.mean) {
    if (!index_is_valid(index, 0, a.nnz, a.segments, report)) return;
    divide_rows<T, I>(a, x, divided);
    x = divided;
  }
  const bool far = rows_are_far<T>(a.segments, C);
  const i64 parts = 4 * threads_for(a, a.nnz * larger(1, C));
  parallel(threads_for(a, a.nnz * larger(1, C)), parts, [&](i64 part, i64 parts) {
    const i64 first = a.nnz * part / parts, last = a.nnz * (part + 1) / parts;
    if (!index_is_valid(index, first, last, a.segments, report)) return;
    for_pieces<T, 8>(C, [&](auto piece) {
      using P = decltype(piece);
      using V = typename P::V;
      for (i64 e = first; e < last; ++e) {
        if (far) prefetch_row<P>(x + piece.at, index[smaller(e + kAhead, a.nnz - 1)], C);
        for (int k = 0; k < P::K; ++k)
          store(out + e * C + piece.at + k * P::N, load<V>(x + index[e] * C + piece.at + k * P::N));
      }
    });
  });
}

// The extreme so far is in out and its entry in where (-1: none yet).
template <class P, bool Largest>
TOPODIFF_INLINE void update_extreme(const typename P::T* x, i64 e, typename P::T* best, i64* where) {
  for (int i = 0; i < P::K * P::N; ++i) {
    const bool beats = Largest ? x[i] > best[i] : x[i] < best[i];
    const bool take = (where[i] < 0) | beats | ((x[i] != x[i]) & (best[i] == best[i]));
    best[i] = take ? x[i] : best[i];
    where[i] = take ? e : where[i];
  }
}

// The extreme so far is in out. A NaN is kept.
template <class P, bool Largest, class T>
TOPODIFF_INLINE void raise_extreme(const T* x, T* out) {
  using V = typename P::V;
  for (int k = 0; k < P::K; ++k) {
    const V v = load<V>(x + k * P::N), best = load<V>(out + k * P::N);
    store(out + k * P::N, (Largest ? v > best : v < best) | ((v != v) & (best == best)) ? v : best);
  }
}

// Values alone. The first entry of a row is copied, so that rows without entries keep their zeros.
template <bool Largest, class T, class I>
void scatter_extreme_values(const Args& a, i64 low, i64 high, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* index = static_cast<const I*>(a.index);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  const bool far = rows_are_far<T>(a.segments, C);
  Scratch<char> seen(high - low);
  seen.zero(high - low);
  walk_entries<I>(a, C * sizeof(T), report, [&](i64 begin, i64 end) {
    for (i64 e = begin; e < end; ++e) {
      const i64 i = index[e];
      if (i < low || i >= high) continue;
      const bool first = !seen[i - low];
      seen[i - low] = 1;
      for_pieces<T, 4>(C, [&](auto piece) {
        using P = decltype(piece);
        if (far) prefetch_row<P>(out + piece.at, index[smaller(e + kAhead, a.nnz - 1)], C);
        T* target = out + i * C + piece.at;
        if (first) copy_values(target, x + e * C + piece.at, P::K * P::N);
        else raise_extreme<P, Largest>(x + e * C + piece.at, target);
      });
    }
  });
}

template <class T, class I>
void scatter_extreme(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const I* index = static_cast<const I*>(a.index);
  T* out = static_cast<T*>(a.out);
  i64* where = static_cast<i64*>(a.out2);
  const i64 C = a.channels;
  auto run = [&](auto largest, auto wanted) {
    for_owned_rows(a, a.segments, [&](i64 low, i64 high) {
      zero_rows(out, low, high, C);
      if (!wanted.value) return scatter_extreme_values<largest.value, T, I>(a, low, high, report);
      for (i64 i = low * C; i < high * C; ++i) where[i] = -1;
      walk_entries<I>(a, C * sizeof(T), report, [&](i64 begin, i64 end) {
        for_pieces<T, 2>(C, [&](auto piece) {
          using P = decltype(piece);
          for (i64 e = begin; e < end; ++e) {
            if (index[e] < low || index[e] >= high) continue;
            const i64 at = index[e] * C + piece.at;
            update_extreme<P, largest.value>(x + e * C + piece.at, e, out + at, where + at);
          }
        });
      });
    });
  };
  with_flags(a.largest, where != nullptr, run);
}

// f(first value, last value) over all values of the (segments, channels) array, in parallel.
template <class F>
void for_values(const Args& a, F f) {
  const i64 values = a.segments * a.channels;
  const int threads = threads_for(a, values);
  parallel(threads, threads == 1 ? 1 : 4 * threads, [&](i64 part, i64 parts) {
    f(a.segments * part / parts, a.segments * (part + 1) / parts);
  });
}

template <class I>
TOPODIFF_INLINE bool row_is_valid(I row, i64 rows, i64 position, Report* report) {
  if (row < rows) return true;
  return report_fault(report, Fault::index_range, position, row), false;
}

// out[where[s, c], c] += x[s, c]; negative rows are dropped.
template <class T, class I>
void place(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const i64* where = static_cast<const i64*>(a.index);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  auto zero = [&](i64 low, i64 high) { zero_rows(out, low, high, C); };
  auto add = [&](i64 first, i64 last, i64 low, i64 high) {
    for (i64 s = first; s < last; ++s)
      for (i64 c = 0; c < C; ++c) {
        const i64 row = where[s * C + c];
        if (row < low || row >= high) {
          if (row >= 0 && !row_is_valid(row, a.rows, s * C + c, report)) return;
          continue;
        }
        out[row * C + c] += x[s * C + c];
      }
  };
  if (a.unique) {
    for_owned_rows(a, a.rows, zero);
    for_values(a, [&](i64 first, i64 last) { add(first, last, 0, a.rows); });
  } else {
    for_owned_rows(a, a.rows, [&](i64 low, i64 high) {
      zero(low, high);
      add(0, a.segments, low, high);
    });
  }
}

// out[s, c] = x[where[s, c], c]; zero for negative rows.
template <class T, class I>
void pick(const Args& a, Report* report) {
  const T* x = static_cast<const T*>(a.x);
  const i64* where = static_cast<const i64*>(a.index);
  T* out = static_cast<T*>(a.out);
  const i64 C = a.channels;
  for_values(a, [&](i64 first, i64 last) {
    for (i64 s = first; s < last; ++s)
      for (i64 c = 0; c < C; ++c) {
        const i64 row = where[s * C + c];
        if (!row_is_valid(row, a.rows, s * C + c, report)) return;
        out[s * C + c] = row < 0 ? T(0) : x[row * C + c];
      }
  });
}

}  // namespace
}  // namespace topodiff
