// Choice of the instruction set, and reports of bad indices.
#include <cstring>
#include <mutex>

#include "kernel_table.hpp"

namespace topodiff {
namespace {

bool processor_has(const char* name) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!std::strcmp(name, "avx2")) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  (void)name;
  return false;
#endif
}

}  // namespace

const KernelTable* choose_kernels(const char* limit) {
  const bool avx2_allowed = std::strcmp(limit, "baseline") != 0;
  const bool avx512_allowed = avx2_allowed && std::strcmp(limit, "avx2") != 0;
  if (avx512_allowed && processor_has("avx512") && avx512_kernels()) return avx512_kernels();
  if (avx2_allowed && processor_has("avx2") && avx2_kernels()) return avx2_kernels();
  return baseline_kernels();
}

void report_fault(Report* report, Fault fault, std::int64_t position, std::int64_t value) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (report->fault == Fault::none) *report = {fault, position, value};
}

}  // namespace topodiff
