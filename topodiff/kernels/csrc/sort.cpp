// Stable counting sort of integer keys.
#include "sort.hpp"

#include <vector>

#include "pool.hpp"

namespace topodiff {
namespace {

constexpr std::int64_t kKeysPerThread = 1 << 16;

template <class F>
void call_part(void* f, std::int64_t part, std::int64_t parts) {
  (*static_cast<F*>(f))(part, parts);
}

}  // namespace

// Each part counts a stretch of keys; the sums over keys, then parts, are where each part writes.
template <class I>
void sort_by_key(const I* key, std::int64_t n, std::int64_t num_keys, I* ptr, I* perm, int threads, Report* report) {
  std::int64_t parts = n / kKeysPerThread;
  if (parts > threads) parts = threads;
  if (parts > 8) parts = 8;
  if (parts < 1 || num_keys > 4 * n) parts = 1;
  std::vector<std::vector<I>> counts(parts);

  auto count = [&](std::int64_t part, std::int64_t parts) {
    std::vector<I>& mine = counts[part];
    mine.assign(num_keys, 0);
    for (std::int64_t e = n * part / parts; e < n * (part + 1) / parts; ++e) {
      if (key[e] < 0 || key[e] >= num_keys) return report_fault(report, Fault::index_range, e, key[e]);
      ++mine[key[e]];
    }
  };
  run_parts(int(parts), parts, call_part<decltype(count)>, &count);
  if (report->fault != Fault::none) return;

  I sum = 0;
  for (std::int64_t k = 0; k < num_keys; ++k) {
    ptr[k] = sum;
    for (auto& mine : counts) {
      const I here = mine[k];
      mine[k] = sum;
      sum += here;
    }
  }
  ptr[num_keys] = sum;

  auto write = [&](std::int64_t part, std::int64_t parts) {
    std::vector<I>& mine = counts[part];
    for (std::int64_t e = n * part / parts; e < n * (part + 1) / parts; ++e) perm[mine[key[e]]++] = I(e);
  };
  run_parts(int(parts), parts, call_part<decltype(write)>, &write);
}

template void sort_by_key(const std::int32_t*, std::int64_t, std::int64_t, std::int32_t*, std::int32_t*, int, Report*);
template void sort_by_key(const std::int64_t*, std::int64_t, std::int64_t, std::int64_t*, std::int64_t*, int, Report*);

}  // namespace topodiff
