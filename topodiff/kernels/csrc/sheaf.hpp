// Products with a small matrix per entry on states (rows, d, channels), and the outer products that are their gradients.
#pragma once
#include "kernel_table.hpp"

namespace topodiff {

enum MapKind { kNoMap, kScalar, kDiagonal, kFull, kTransposed };  // of maps: (n,), (n, d), (n, d, d)

// Rows of x, y and out are d * channels values.
struct SheafArgs : Args {
  const void* maps = nullptr;      // one per entry, or one per edge for graphs
  const void* diagonal = nullptr;  // one per segment
  const void* index_y = nullptr;
  std::int64_t d = 1;
  std::int64_t rows_y = 0;
  int kind = kFull, diagonal_kind = kNoMap;
  bool graph = false;  // index holds tail and head of edge 0, of edge 1, ...; perm is its order by vertex
};

using SheafKernel = void (*)(const SheafArgs&, Report*);

// kSheafGather: out[s] = D_s x[s] + sum over entries k of segment s of M_e x[index[e]], e = perm[k] or k, M_e the map or
//   its transpose (kind). On a graph, entry p = perm[k] joins segment s to vertex u = index[p ^ 1], with the map of edge
//   p / 2 if s is its head (p odd), else its transpose.
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

}  // namespace topodiff
