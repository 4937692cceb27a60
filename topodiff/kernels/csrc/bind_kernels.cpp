// Python face of the kernels over segments, indices and incidences.
#include <vector>

#include "bind.hpp"
#include "sort.hpp"

namespace topodiff {
namespace {

const KernelTable* table = baseline_kernels();

// Sizes and dtypes of a call: is x float64, are indices int64, how many threads may run.
struct Call {
  bool wide, wide_index;
  Args args;

  Call(bool wide, bool wide_index, int threads, i64 rows, i64 segments, i64 nnz, i64 channels)
      : wide(wide), wide_index(wide_index) {
    args.threads = threads;
    args.rows = rows, args.segments = segments, args.nnz = nnz, args.channels = channels;
  }
  void run(KernelId id, i64 bound) const {
    run_checked(table->kernels[id][wide][wide_index], args, [bound] { return index_range(bound); });
  }
};

#define TOPODIFF_COMMON \
  bool wide, bool wide_index, int threads, i64 rows, i64 segments, i64 nnz, i64 channels
#define TOPODIFF_CALL Call call(wide, wide_index, threads, rows, segments, nnz, channels)

template <KernelId id>
void over_segments(TOPODIFF_COMMON, Address x, Address ptr, Address out, bool mean) {
  TOPODIFF_CALL;
  call.args.x = at(x), call.args.ptr = at(ptr), call.args.out = at(out), call.args.mean = mean;
  call.run(id, nnz);
}

void segment_extreme(TOPODIFF_COMMON, Address x, Address ptr, Address out, Address where, bool largest) {
  TOPODIFF_CALL;
  call.args.x = at(x), call.args.ptr = at(ptr), call.args.out = at(out), call.args.out2 = at(where);
  call.args.largest = largest;
  call.run(kSegmentExtreme, nnz);
}

void segment_softmax_backward(TOPODIFF_COMMON, Address grad, Address y, Address ptr, Address out) {
  TOPODIFF_CALL;
  call.args.grad = at(grad), call.args.x = at(y), call.args.ptr = at(ptr), call.args.out = at(out);
  call.run(kSegmentSoftmaxBackward, nnz);
}

// extra: room for counts (means), entries that attain the extreme
template <KernelId id>
void over_index(TOPODIFF_COMMON, Address x, Address index, Address out, Address extra, bool flag) {
  TOPODIFF_CALL;
  call.args.x = at(x), call.args.index = at(index), call.args.out = at(out), call.args.out2 = at(extra);
  call.args.mean = call.args.largest = call.args.unique = flag;
  call.run(id, id == kPlace || id == kPick ? rows : segments);
}

template <KernelId id>
void over_gather(TOPODIFF_COMMON, Address x, Address index, Address perm, Address ptr, Address weight, int weight_kind,
                 Address out, Address where, bool flag) {
  TOPODIFF_CALL;
  call.args.x = at(x), call.args.index = at(index), call.args.perm = at(perm), call.args.ptr = at(ptr);
  call.args.weight = at(weight), call.args.weight_kind = weight_kind;
  call.args.out = at(out), call.args.out2 = at(where), call.args.mean = call.args.largest = flag;
  call.run(id, rows);
}

void gather_dot(TOPODIFF_COMMON, Address x, Address y, Address index, Address ptr, Address out, bool mean) {
  TOPODIFF_CALL;
  call.args.x = at(x), call.args.y = at(y), call.args.index = at(index), call.args.ptr = at(ptr);
  call.args.out = at(out), call.args.mean = mean;
  call.run(kGatherDot, rows);
}

template <KernelId id>
void over_cofaces(TOPODIFF_COMMON, Address grad, Address p, Address q, Address face, Address cell_ptr, int activation,
                  Address out, Address out2) {
  TOPODIFF_CALL;
  Args& a = call.args;
  const std::vector<char> zeros(p && q ? 0 : channels * sizeof(double));
  a.grad = at(grad), a.index = at(face), a.ptr = at(cell_ptr), a.activation = activation;
  a.x = p ? at(p) : zeros.data(), a.x_stride = p ? channels : 0;
  a.y = q ? at(q) : zeros.data(), a.y_stride = q ? channels : 0;
  a.out = at(out), a.out2 = at(out2);
  call.run(id, rows);
}

template <class I>
void sort_keys(i64 n, i64 num_keys, int threads, Address key, Address ptr, Address perm) {
  Report report{};
  without_gil(sort_by_key<I>, static_cast<const I*>(at(key)), n, num_keys, static_cast<I*>(at(ptr)),
              static_cast<I*>(at(perm)), threads, &report);
  if (report.fault != Fault::none) raise(report, n, index_range(num_keys));
}

void sort(bool wide_index, i64 n, i64 num_keys, int threads, Address key, Address ptr, Address perm) {
  (wide_index ? sort_keys<std::int64_t> : sort_keys<std::int32_t>)(n, num_keys, threads, key, ptr, perm);
}

// Returns the instruction set that is used from now on.
const char* limit_instruction_set(const char* limit) {
  table = choose_kernels(limit);
  return table->name;
}

}  // namespace

const KernelTable* active_kernels() { return table; }

void bind_kernels(nb::module_& m) {
  m.def("limit_instruction_set", &limit_instruction_set);
  m.def("instruction_set", [] { return table->name; });
  m.def("segment_sum", &over_segments<kSegmentSum>);
  m.def("segment_expand", &over_segments<kSegmentExpand>);
  m.def("segment_softmax", &over_segments<kSegmentSoftmax>);
  m.def("segment_extreme", &segment_extreme);
  m.def("segment_softmax_backward", &segment_softmax_backward);
  m.def("scatter_sum", &over_index<kScatterSum>);
  m.def("scatter_expand", &over_index<kScatterExpand>);
  m.def("scatter_extreme", &over_index<kScatterExtreme>);
  m.def("place", &over_index<kPlace>);
  m.def("pick", &over_index<kPick>);
  m.def("gather_sum", &over_gather<kGatherSum>);
  m.def("gather_extreme", &over_gather<kGatherExtreme>);
  m.def("spread_sum", &over_gather<kSpreadSum>);
  m.def("gather_dot", &gather_dot);
  m.def("coface_message", &over_cofaces<kCofaceMessage>);
  m.def("coface_message_backward", &over_cofaces<kCofaceMessageBackward>);
  m.def("sort_by_key", &sort);
}

}  // namespace topodiff
