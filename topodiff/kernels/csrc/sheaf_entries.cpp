// Entries of a graph or of incidences, looked up and checked.
#include "sheaf.hpp"
#include "split.hpp"

namespace topodiff {

template <class I>
void look_up_entries(const SheafArgs& a, Entry* entries, Report* report) {
  using U = typename UnsignedOf<I>::type;
  const I *index = static_cast<const I*>(a.index), *perm = static_cast<const I*>(a.perm);
  const i64 side = a.graph;
  const int threads = threads_for(a, a.nnz);
  parallel(threads, threads, [&](i64 part, i64 parts) {
    for (i64 k = a.nnz * part / parts; k < a.nnz * (part + 1) / parts; ++k) {
      const I p = perm ? perm[k] : I(k);
      if (U(p) >= std::uint64_t(a.nnz)) return report_fault(report, Fault::index_range, k, p);
      const I source = index[p ^ side];
      if (U(source) >= std::uint64_t(a.rows)) return report_fault(report, Fault::index_range, p ^ side, source);
      entries[k] = {std::uint32_t(source), std::uint32_t(p)};
    }
  });
  for (i64 k = a.nnz; k < a.nnz + kMoreEntries; ++k) entries[k] = {0, 0};
}

template void look_up_entries<std::int32_t>(const SheafArgs&, Entry*, Report*);
template void look_up_entries<std::int64_t>(const SheafArgs&, Entry*, Report*);

}  // namespace topodiff
