// How kernels walk: over sorted segments (each part owns segments) or over all entries (each part owns output rows).
#pragma once
#include "kernel_table.hpp"
#include "pool.hpp"
#include "simd.hpp"

namespace topodiff {
namespace {

constexpr i64 kValuesPerThread = 32768;  // fewer are done before another thread wakes up
constexpr i64 kBlockBytes = 32768;       // entries of a block stay in the first cache between pieces

template <class F>
void call_part(void* f, i64 part, i64 parts) {
  (*static_cast<F*>(f))(part, parts);
}

// f(part, parts) in parallel.
template <class F>
void parallel(int threads, i64 parts, F f) {
  run_parts(threads, parts, call_part<F>, &f);
}

TOPODIFF_INLINE int threads_for(const Args& a, i64 values) {
  return int(larger(1, smaller(a.threads, values / kValuesPerThread)));
}

template <class I>
bool ptr_ends_right(const Args& a, Report* report) {
  const I* ptr = static_cast<const I*>(a.ptr);
  if (ptr[0] == 0 && ptr[a.segments] == a.nnz) return true;
  report_fault(report, Fault::ptr_ends, ptr[0] ? 0 : a.segments, ptr[0] ? ptr[0] : ptr[a.segments]);
  return false;
}

template <class I>
bool index_is_valid(const I* index, i64 begin, i64 end, i64 bound, Report* report) {
  using U = typename UnsignedOf<I>::type;
  U bad = 0;
  const U limit = U(bound);
  for (i64 e = begin; e < end; ++e) bad |= U(U(index[e]) >= limit);
  if (!bad) return true;
  for (i64 e = begin; e < end; ++e)
    if (U(index[e]) >= limit) return report_fault(report, Fault::index_range, e, index[e]), false;
  return true;
}

// The first segment of a part: parts get equal numbers of entries plus segments.
template <class I>
i64 first_segment(const I* ptr, i64 segments, i64 nnz, i64 part, i64 parts) {
  const double goal = double(nnz + segments) * double(part) / double(parts);
  i64 low = 0, high = segments;
  while (low < high) {
    const i64 middle = (low + high) / 2;
    if (double(ptr[middle]) + double(middle) < goal) low = middle + 1;
    else high = middle;
  }
  return low;
}

// visit(first, last) over blocks of consecutive valid segments, each of about kBlockBytes of entries.
template <class I, class F>
void walk_segments(const Args& a, i64 first, i64 last, i64 entry_bytes, Report* report, F visit) {
  const I* ptr = static_cast<const I*>(a.ptr);
  const i64 per_block = larger(16, kBlockBytes / larger(1, entry_bytes));
  while (first < last) {
    i64 s = first;
    const i64 stop = i64(ptr[first]) + per_block;
    do {
      if (ptr[s] > ptr[s + 1] || ptr[s] < 0 || ptr[s + 1] > a.nnz)
        return report_fault(report, Fault::ptr_falls, s + 1, ptr[s + 1]);
      ++s;
    } while (s < last && ptr[s + 1] <= stop && s - first < per_block);
    visit(first, s);
    first = s;
  }
}

// visit(first, last) on every block of segments, in parallel.
template <class I, class F>
void for_segments(const Args& a, i64 entry_bytes, Report* report, F visit) {
  if (!ptr_ends_right<I>(a, report)) return;
  const int threads = threads_for(a, (a.nnz + a.segments) * larger(1, a.channels));
  const I* ptr = static_cast<const I*>(a.ptr);
  parallel(threads, threads == 1 ? 1 : 4 * threads, [&](i64 part, i64 parts) {
    const i64 first = part == 0 ? 0 : first_segment(ptr, a.segments, a.nnz, part, parts);
    const i64 last = part + 1 == parts ? a.segments : first_segment(ptr, a.segments, a.nnz, part + 1, parts);
    // where ptr falls, parts may miss segments: then one part at least ends before it begins
    if (first > last) return report_fault(report, Fault::ptr_falls, last, ptr[last]);
    walk_segments<I>(a, first, last, entry_bytes, report, visit);
  });
}

template <class T>
TOPODIFF_INLINE void zero_rows(T* out, i64 low, i64 high, i64 channels) {
  if (out) __builtin_memset(out + low * channels, 0, (high - low) * channels * sizeof(T));  // null: nothing is wanted
}

// f(low, high) on every range of output rows, in parallel: f reads everything and writes only rows low..high - 1.
template <class F>
void for_owned_rows(const Args& a, i64 rows, F f) {
  const int threads = int(smaller(threads_for(a, (a.nnz + rows) * larger(1, a.channels)), 16));
  parallel(threads, threads, [&](i64 part, i64 parts) { f(rows * part / parts, rows * (part + 1) / parts); });
}

}  // namespace
}  // namespace topodiff
