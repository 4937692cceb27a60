// Products with a small matrix per entry on states (rows, d, channels), and the outer products that are their gradients.
#pragma once
#include "kernel_table.hpp"

namespace topodiff {

enum MapKind { kNoMap, kScalar, kDiagonal, kFull, kTransposed };  // of maps: (n,), (n, d), (n, d, d)

// What an entry reads: a row of x and a map. Looked up once per graph: the look-up through two arrays of indices costs
// as much as the products themselves where rows are short.
struct Entry {
  std::uint32_t source, number;
};
constexpr std::int64_t kMoreEntries = 64;  // after the last, so that loops may look ahead

// Rows of x, y and out are d * channels values.
struct SheafArgs : Args {
  const Entry* entries = nullptr;  // nnz + kMoreEntries
  const void* maps = nullptr;      // one per entry, or one per edge for graphs
  const void* diagonal = nullptr;  // one per segment
  const void* index_y = nullptr;
  std::int64_t d = 1;
  std::int64_t rows_y = 0;
  int kind = kFull, diagonal_kind = kNoMap;
  bool graph = false;  // index holds tail and head of edge 0, of edge 1, ...
};

using SheafKernel = void (*)(const SheafArgs&, Report*);

// kSheafGather: out[s] = D_s x[s] + sum over entries of segment s of M x[source], M the map with the number of the entry
//   or its transpose (kind). On a graph the number is 2 e + 1 at the head of edge e, whose map acts as it is, and 2 e at
//   the tail, where it acts transposed.
// kSheafOuter: out[e] = y[index_y[e]] x[index[e]]^T, its diagonal or its trace (kind). On a graph
//   y[head] x[tail]^T + x[head] y[tail]^T.
enum SheafId { kSheafGather, kSheafOuter, kNumSheaf };

struct SheafTable {
  SheafKernel kernels[kNumSheaf][2][2];  // [kernel][float64][int64]
};

// Null where the compiler was not asked for the instruction set.
const SheafTable* baseline_sheaf();
const SheafTable* avx2_sheaf();
const SheafTable* avx512_sheaf();

// Entries in the order of perm (null: as they come), p = perm[k]: index[p] and p, on a graph index[p ^ 1] and p.
// I is int32 or int64.
template <class I>
void look_up_entries(const SheafArgs& a, Entry* entries, Report* report);

}  // namespace topodiff
