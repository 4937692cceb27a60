// Large results in large pages. Rows that are read at random miss the translation of their address nearly every time in
// pages of 4 KiB: gathers of such rows take up to twice as long. Many systems leave the choice to programs (madvise).
#pragma once
#include <cstddef>
#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace topodiff {

constexpr std::size_t kLargePage = std::size_t(1) << 21;

// Asks for large pages in memory that is about to be written; where there are none nothing happens.
inline void prefer_large_pages(void* memory, std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(memory) + kLargePage - 1) & ~(kLargePage - 1);
  const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) & ~(kLargePage - 1);
  if (end > begin + kLargePage) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)memory, (void)bytes;
#endif
}

}  // namespace topodiff
