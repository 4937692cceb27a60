// Python face of the products with stalks; arrays come as addresses, checked by topodiff.kernels.sheaf.
#include <nanobind/nanobind.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "large_pages.hpp"
#include "sheaf.hpp"

namespace nb = nanobind;

namespace topodiff {
namespace {

using Address = std::uintptr_t;
using i64 = std::int64_t;

void* at(Address address) { return reinterpret_cast<void*>(address); }

// For the instruction set of all other kernels.
const SheafTable* table() {
  const char* name = active_kernels()->name;
  if (!std::strcmp(name, "avx512")) return avx512_sheaf();
  if (!std::strcmp(name, "avx2")) return avx2_sheaf();
  return baseline_sheaf();
}

void raise(const Report& report, const SheafArgs& a) {
  if (report.fault == Fault::none) return;
  const std::string value = std::to_string(report.value), position = std::to_string(report.position);
  if (report.fault == Fault::index_range)
    throw std::invalid_argument("face and cell must lie in 0.." + std::to_string(a.rows - 1) + ", by_face in 0.." +
                                std::to_string(a.nnz - 1) + "; got " + value + " at entry " + position);
  throw std::invalid_argument("ptr must rise from 0 to the number of entries, " + std::to_string(a.nnz) + "; got ptr[" +
                              position + "] = " + value);
}

void run(SheafId id, bool wide, bool wide_index, const SheafArgs& args, i64 values) {
  Report report{};
  prefer_large_pages(args.out, values * (wide ? sizeof(double) : sizeof(float)));
  {
    nb::gil_scoped_release release;
    table()->kernels[id][wide][wide_index](args, &report);
  }
  raise(report, args);
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
  Report report{};
  {
    nb::gil_scoped_release release;
    (wide_index ? look_up_entries<std::int64_t> : look_up_entries<std::int32_t>)(a, static_cast<Entry*>(at(entries)), &report);
  }
  raise(report, a);
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
