// One round of colour refinement: cells with the same colour and the same multiset of colours of their neighbours get
// the same new colour. Exact: hashes only say where to look.
#include <algorithm>
#include <vector>

#include "bind.hpp"

namespace topodiff {
namespace {

struct Round {
  i64 cells, nnz, rows;  // cells, entries of neighbour, rows of colour
  const i64 *own, *ptr, *neighbour, *colour;
  i64 *refined, *first;
};

// The colours of all neighbours, sorted within each cell; empty where an index is wrong.
std::vector<i64> sorted_colours(const Round& r, Report* report) {
  std::vector<i64> seen(r.nnz);
  if (r.ptr[0] != 0 || r.ptr[r.cells] != r.nnz)
    return report_fault(report, Fault::ptr_ends, r.ptr[0] ? 0 : r.cells, r.ptr[0] ? r.ptr[0] : r.ptr[r.cells]), seen;
  for (i64 e = 0; e < r.nnz; ++e) {
    if (r.neighbour[e] < 0 || r.neighbour[e] >= r.rows)
      return report_fault(report, Fault::index_range, e, r.neighbour[e]), seen;
    seen[e] = r.colour[r.neighbour[e]];
  }
  for (i64 i = 0; i < r.cells; ++i) {
    if (r.ptr[i] > r.ptr[i + 1] || r.ptr[i + 1] > r.nnz)
      return report_fault(report, Fault::ptr_falls, i + 1, r.ptr[i + 1]), seen;
    std::sort(seen.begin() + r.ptr[i], seen.begin() + r.ptr[i + 1]);
  }
  return seen;
}

// The number of new colours, which rise in the order in which they are met; first holds a cell of each.
i64 refine(const Round& r, Report* report) {
  const std::vector<i64> seen = sorted_colours(r, report);
  if (report->fault != Fault::none) return 0;
  std::size_t size = 16;
  while (size < 2 * std::size_t(r.cells)) size *= 2;
  std::vector<i64> table(size, -1);
  i64 colours = 0;
  for (i64 i = 0; i < r.cells; ++i) {
    const i64 *begin = seen.data() + r.ptr[i], *end = seen.data() + r.ptr[i + 1];
    const auto same_as = [&](i64 j) {
      return r.own[i] == r.own[j] && std::equal(begin, end, seen.data() + r.ptr[j], seen.data() + r.ptr[j + 1]);
    };
    std::uint64_t hash = 0;
    const auto mix = [&](i64 value) { hash = (hash ^ std::uint64_t(value)) * 0x9E3779B97F4A7C15u, hash ^= hash >> 29; };
    mix(r.own[i]);
    std::for_each(begin, end, mix);
    std::size_t at = hash & (size - 1);
    while (table[at] >= 0 && !same_as(r.first[table[at]])) at = (at + 1) & (size - 1);
    if (table[at] < 0) r.first[colours] = i, table[at] = colours++;
    r.refined[i] = table[at];
  }
  return colours;
}

i64 run(i64 cells, i64 nnz, i64 rows, Address own, Address ptr, Address neighbour, Address colour, Address refined,
        Address first) {
  const auto read = [](Address address) { return static_cast<const i64*>(at(address)); };
  const auto write = [](Address address) { return static_cast<i64*>(at(address)); };
  const Round round{cells,        nnz,           rows, read(own), read(ptr), read(neighbour), read(colour),
                    write(refined), write(first)};
  Report report{};
  const i64 colours = without_gil(refine, round, &report);
  if (report.fault != Fault::none) raise(report, nnz, index_range(rows));
  return colours;
}

}  // namespace

void bind_refine(nb::module_& m) { m.def("refine_colours", &run); }

}  // namespace topodiff
