// Stable counting sort of integer keys.
#pragma once
#include "kernel_table.hpp"

namespace topodiff {

// ptr (num_keys + 1) and perm (n): entries with key k are perm[ptr[k]..ptr[k + 1] - 1], in rising order.
template <class I>
void sort_by_key(const I* key, std::int64_t n, std::int64_t num_keys, I* ptr, I* perm, int threads, Report* report);

}  // namespace topodiff
