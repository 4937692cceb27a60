// What a kernel gets, and the tables of kernels: one per instruction set, built from the same source.
#pragma once
#include <cstdint>

namespace topodiff {

// Not every kernel uses every field. Rows of x, y and out are contiguous, `channels` values each.
struct Args {
  const void* x = nullptr;
  const void* y = nullptr;
  const void* grad = nullptr;
  const void* weight = nullptr;
  const void* index = nullptr;
  const void* perm = nullptr;
  const void* ptr = nullptr;
  void* out = nullptr;
  void* out2 = nullptr;
  std::int64_t rows = 0;      // rows of x, or bound of the index
  std::int64_t segments = 0;  // ptr has segments + 1 values
  std::int64_t nnz = 0;
  std::int64_t channels = 0;
  std::int64_t x_stride = 0, y_stride = 0;  // between rows; 0 for one row that serves all
  int weight_kind = 0;  // 0 none, 1 floating point, 2 integer
  int activation = 0;   // identity, relu, elu, silu, tanh
  bool mean = false;
  bool largest = false;
  bool unique = false;
  int threads = 1;
};

// What was found wrong while reading indices. The first report is kept.
enum class Fault : std::int64_t { none, ptr_ends, ptr_falls, index_range };
struct Report {
  Fault fault;
  std::int64_t position, value;
};
void report_fault(Report* report, Fault fault, std::int64_t position, std::int64_t value);

using Kernel = void (*)(const Args&, Report*);

enum KernelId {
  kSegmentSum,
  kSegmentExpand,
  kSegmentExtreme,
  kSegmentSoftmax,
  kSegmentSoftmaxBackward,
  kScatterSum,
  kScatterExpand,
  kScatterExtreme,
  kPlace,
  kPick,
  kGatherSum,
  kGatherExtreme,
  kSpreadSum,
  kGatherDot,
  kCofaceMessage,
  kCofaceMessageBackward,
  kNumKernels
};

struct KernelTable {
  const char* name;                        // instruction set
  Kernel kernels[kNumKernels][2][2] = {};  // [kernel][float64][int64]
};

// Null where the compiler was not asked for the instruction set.
const KernelTable* baseline_kernels();
const KernelTable* avx2_kernels();
const KernelTable* avx512_kernels();

// The widest that this processor has and `limit` ("baseline", "avx2", "avx512" or empty) allows.
const KernelTable* choose_kernels(const char* limit);

// Those in use now.
const KernelTable* active_kernels();

}  // namespace topodiff
