// Python face of the products with stalks.
#include "bind.hpp"
#include "sheaf.hpp"

namespace topodiff {
namespace {

template <class Kernel>
void check(Kernel kernel, const SheafArgs& a) {
  run_checked(kernel, a, [&] {
    return "face and cell must lie in 0.." + std::to_string(a.rows - 1) + ", by_face in 0.." + std::to_string(a.nnz - 1);
  });
}

void run(SheafId id, bool wide, bool wide_index, const SheafArgs& args, i64 values) {
  prefer_large_pages(args.out, values * (wide ? sizeof(double) : sizeof(float)));
  check(in_use(baseline_sheaf, avx2_sheaf, avx512_sheaf).kernels[id][wide][wide_index], args);
}

i64 values_of_maps(i64 count, i64 d, int kind) { return count * (kind == kFull ? d * d : kind == kDiagonal ? d : 1); }

#define TOPODIFF_SIZES bool wide, bool wide_index, int threads, i64 rows, i64 segments, i64 nnz, i64 d, i64 channels

SheafArgs sizes(int threads, i64 rows, i64 segments, i64 nnz, i64 d, i64 channels) {
  SheafArgs a;
  a.threads = threads, a.rows = a.rows_y = rows, a.segments = segments, a.nnz = nnz, a.d = d, a.channels = channels;
  return a;
}

// entries: room for (nnz + more) pairs of 32 bits
void look_up(bool wide_index, int threads, i64 rows, i64 nnz, Address index, Address perm, bool graph, Address entries) {
  SheafArgs a = sizes(threads, rows, 0, nnz, 1, 1);
  a.index = at(index), a.perm = at(perm), a.graph = graph;
  check([&](const SheafArgs& args, Report* report) {
    (wide_index ? look_up_entries<std::int64_t> : look_up_entries<std::int32_t>)(args, static_cast<Entry*>(at(entries)), report);
  }, a);
}

void gather(TOPODIFF_SIZES, Address x, Address maps, int kind, Address diagonal, int diagonal_kind, Address entries,
            Address ptr, bool graph, Address out) {
  SheafArgs a = sizes(threads, rows, segments, nnz, d, channels);
  a.x = at(x), a.maps = at(maps), a.kind = kind, a.diagonal = at(diagonal), a.diagonal_kind = diagonal_kind;
  a.entries = static_cast<const Entry*>(at(entries)), a.ptr = at(ptr), a.graph = graph, a.out = at(out);
  run(kSheafGather, wide, wide_index, a, segments * d * channels);
}

// rows of x, segments: rows of y
void outer(TOPODIFF_SIZES, Address y, Address x, Address index_y, Address index_x, int kind, bool graph, Address out) {
  SheafArgs a = sizes(threads, rows, segments, nnz, d, channels);
  a.rows_y = segments, a.y = at(y), a.x = at(x), a.index_y = at(index_y), a.index = at(index_x);
  a.kind = kind, a.graph = graph, a.out = at(out);
  run(kSheafOuter, wide, wide_index, a, values_of_maps(graph ? nnz / 2 : nnz, d, kind));
}

}  // namespace

void bind_sheaf(nb::module_& m) {
  m.attr("sheaf_more_entries") = kMoreEntries;
  m.def("sheaf_look_up", &look_up);
  m.def("sheaf_gather", &gather);
  m.def("sheaf_outer", &outer);
}

}  // namespace topodiff
