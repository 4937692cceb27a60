// Blocks of sheaf Laplacians with diagonal maps, normalised, and their gradient (topodiff.kernels.edge_blocks).
#include <algorithm>
#include <cmath>

#include "bind.hpp"
#include "split.hpp"
#include "valid_graph.hpp"

namespace topodiff {
namespace {

template <class T>
T* at(Address address) {
  return static_cast<T*>(topodiff::at(address));
}

// f(first row, last) on ranges of rows
template <class F>
void over_rows(int threads, i64 rows, i64 values, F f) {
  const int used = int(larger(1, smaller(threads, values / kValuesPerThread)));
  parallel(used, used, [&](i64 part, i64 parts) { f(rows * part / parts, rows * (part + 1) / parts); });
}

struct Graph {
  i64 n, nnz, d;
  double plus;  // 1 for (D + I)^{-1/2}, 0 for D^{-1/2}
  Address face, face_ptr, by_face;
};

// Kernels below trust the graph.
template <class I>
bool valid(const Graph& g) {
  return valid_graph<I>(g.n, g.nnz, at<const I>(g.face), at<const I>(g.face_ptr), at<const I>(g.by_face));
}

// scale_v = (D_v + plus)^{-1/2}, diagonal_v = D_v scale_v^2, block_e = -m_tail m_head scale_tail scale_head
template <class T, class I>
bool forward(const Graph& g, int threads, Address maps, Address diagonal, Address blocks, Address scale) {
  if (!valid<I>(g)) return false;
  const I *face = at<const I>(g.face), *ptr = at<const I>(g.face_ptr), *order = at<const I>(g.by_face);
  const T* m = at<const T>(maps);
  T *D = at<T>(diagonal), *b = at<T>(blocks), *s = at<T>(scale);
  const i64 d = g.d;
  const T plus = T(g.plus);
  over_rows(threads, g.n, g.nnz * d, [&](i64 low, i64 high) {
    for (i64 v = low; v < high; ++v) {
      T *total = D + v * d, *root = s + v * d;
      for (i64 c = 0; c < d; ++c) total[c] = 0;
      for (i64 k = ptr[v]; k < ptr[v + 1]; ++k) {
        const T* map = m + i64(order[k]) * d;
        for (i64 c = 0; c < d; ++c) total[c] += map[c] * map[c];
      }
      for (i64 c = 0; c < d; ++c) {
        root[c] = total[c] + plus > 0 ? 1 / std::sqrt(total[c] + plus) : 0;
        total[c] *= root[c] * root[c];
      }
    }
  });
  over_rows(threads, g.nnz / 2, g.nnz * d, [&](i64 low, i64 high) {
    for (i64 e = low; e < high; ++e) {
      const T *tail = s + i64(face[2 * e]) * d, *head = s + i64(face[2 * e + 1]) * d, *map = m + 2 * e * d;
      for (i64 c = 0; c < d; ++c) b[e * d + c] = -map[c] * map[d + c] * tail[c] * head[c];
    }
  });
  return true;
}

template <class T, class I>
bool backward(const Graph& g, int threads, Address maps, Address scale, Address of_diagonal, Address of_blocks,
              Address work, Address out) {
  if (!valid<I>(g)) return false;
  const I *face = at<const I>(g.face), *ptr = at<const I>(g.face_ptr), *order = at<const I>(g.by_face);
  const T *m = at<const T>(maps), *s = at<const T>(scale), *gD = at<const T>(of_diagonal), *gb = at<const T>(of_blocks);
  T *total = at<T>(work), *dm = at<T>(out);
  const i64 d = g.d;
  const T plus = T(g.plus);
  // the gradient of D
  over_rows(threads, g.n, g.nnz * d, [&](i64 low, i64 high) {
    for (i64 v = low; v < high; ++v) {
      T* sum = total + v * d;
      for (i64 c = 0; c < d; ++c) sum[c] = 0;
      for (i64 k = ptr[v]; k < ptr[v + 1]; ++k) {
        const i64 i = order[k], e = i / 2;
        const T *map = m + 2 * e * d, *far = s + i64(face[i ^ 1]) * d;
        for (i64 c = 0; c < d; ++c) sum[c] -= gb[e * d + c] * map[c] * map[d + c] * far[c];
      }
      for (i64 c = 0; c < d; ++c) {
        const T root = s[v * d + c], square = root * root;
        sum[c] = gD[v * d + c] * plus * square * square - sum[c] * square * root / 2;
      }
    }
  });
  over_rows(threads, g.nnz, g.nnz * d, [&](i64 low, i64 high) {
    for (i64 i = low; i < high; ++i) {
      const i64 v = face[i], u = face[i ^ 1], e = i / 2;
      for (i64 c = 0; c < d; ++c)
        dm[i * d + c] = 2 * m[i * d + c] * total[v * d + c] -
                        gb[e * d + c] * m[(i ^ 1) * d + c] * s[v * d + c] * s[u * d + c];
    }
  });
  return true;
}

#define TOPODIFF_GRAPH                                                                                            \
  bool wide, bool wide_index, int threads, i64 n, i64 nnz, i64 d, double plus, Address face, Address face_ptr,      \
      Address by_face

template <class... Rest>
bool choose(bool (*const kernels[2][2])(const Graph&, int, Rest...), TOPODIFF_GRAPH, Rest... rest) {
  const Graph graph{n, nnz, d, plus, face, face_ptr, by_face};
  return without_gil(kernels[wide][wide_index], graph, threads, rest...);
}

bool edge_blocks(TOPODIFF_GRAPH, Address maps, Address diagonal, Address blocks, Address scale) {
  constexpr bool (*kernels[2][2])(const Graph&, int, Address, Address, Address, Address) = {
      {forward<float, std::int32_t>, forward<float, i64>}, {forward<double, std::int32_t>, forward<double, i64>}};
  return choose(kernels, wide, wide_index, threads, n, nnz, d, plus, face, face_ptr, by_face, maps, diagonal, blocks, scale);
}

bool edge_blocks_backward(TOPODIFF_GRAPH, Address maps, Address scale, Address of_diagonal, Address of_blocks,
                          Address work, Address out) {
  constexpr bool (*kernels[2][2])(const Graph&, int, Address, Address, Address, Address, Address, Address) = {
      {backward<float, std::int32_t>, backward<float, i64>}, {backward<double, std::int32_t>, backward<double, i64>}};
  return choose(kernels, wide, wide_index, threads, n, nnz, d, plus, face, face_ptr, by_face, maps, scale, of_diagonal,
                of_blocks, work, out);
}

}  // namespace

void bind_edge_blocks(nb::module_& m) {
  m.def("edge_blocks", &edge_blocks);
  m.def("edge_blocks_backward", &edge_blocks_backward);
}

}  // namespace topodiff
