// Some segments of an array, one after the other.
#include <cstring>

#include "bind.hpp"

namespace topodiff {
namespace {

struct Selection {
  i64 segments, nnz, wanted;
  const i64 *ptr, *values, *which;
  i64 *new_ptr, *out;  // out may be null: then only new_ptr is written
};

// Whether segment s lies in the array; reports it where not.
bool lies_inside(const Selection& a, i64 k, Report* report) {
  const i64 s = a.which[k];
  if (s < 0 || s >= a.segments) return report_fault(report, Fault::index_range, k, s), false;
  if (a.ptr[s] < 0 || a.ptr[s] > a.ptr[s + 1] || a.ptr[s + 1] > a.nnz)
    return report_fault(report, Fault::ptr_falls, s + 1, a.ptr[s + 1]), false;
  return true;
}

void select(const Selection& a, Report* report) {
  i64 total = 0;
  for (i64 k = 0; k < a.wanted; ++k) {
    if (!lies_inside(a, k, report)) return;
    const i64 begin = a.ptr[a.which[k]], length = a.ptr[a.which[k] + 1] - begin;
    a.new_ptr[k] = total;
    if (a.out && length) std::memcpy(a.out + total, a.values + begin, length * sizeof(i64));
    total += length;
  }
  a.new_ptr[a.wanted] = total;
}

void run(i64 segments, i64 nnz, i64 wanted, Address ptr, Address values, Address which, Address new_ptr, Address out) {
  const auto i64s = [](Address address) { return static_cast<i64*>(at(address)); };
  const Selection selection{segments,   nnz,           wanted, i64s(ptr), i64s(values), i64s(which),
                            i64s(new_ptr), i64s(out)};
  Report report{};
  without_gil(select, selection, &report);
  if (report.fault != Fault::none) raise(report, nnz, index_range(segments));
}

}  // namespace

void bind_select(nb::module_& m) { m.def("select_segments", &run); }

}  // namespace topodiff
