// Enumeration behind the liftings. int64 arrays in and out; edges are (u, v), u < v, in lexicographic order.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>

#include "cliques.hpp"
#include "cycles.hpp"

namespace nb = nanobind;

namespace topodiff {
namespace {

using Vector = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Pairs = nb::ndarray<const int64_t, nb::shape<-1, 2>, nb::c_contig, nb::device::cpu>;
using Array = nb::ndarray<nb::numpy, int64_t>;

Array owned(int64_t* data, std::initializer_list<std::size_t> shape) {
  nb::capsule owner(data, [](void* p) noexcept { std::free(p); });
  return Array(data, shape, owner);
}

Array to_array(const std::vector<int64_t>& values) {
  Buffer copy;
  std::copy(values.begin(), values.end(), copy.extend(values.size()));
  return owned(copy.release(), {values.size()});
}

// Throws std::invalid_argument unless edges are in order, u < v, and within vertices first .. last - 1.
void check_edges(const int64_t* edges, int64_t m, int64_t first, int64_t last) {
  if (last - first > INT32_MAX) throw std::invalid_argument("more than 2^31 - 1 vertices");
  for (int64_t e = 0; e < m; ++e) {
    const int64_t u = edges[2 * e], v = edges[2 * e + 1];
    const bool sorted = e == 0 || std::make_pair(edges[2 * e - 2], edges[2 * e - 1]) < std::make_pair(u, v);
    if (!(first <= u && u < v && v < last && sorted))
      throw std::invalid_argument("edge " + std::to_string(e) + " = (" + std::to_string(u) + ", " + std::to_string(v) +
                                  ") is not in canonical order or not between vertices of its graph");
  }
}

void check_ptr(const Vector& ptr, int64_t total, const char* name) {
  bool good = ptr.size() > 0 && ptr(0) == 0 && ptr(ptr.size() - 1) == total;
  for (std::size_t i = 1; good && i < ptr.size(); ++i) good = ptr(i - 1) <= ptr(i);
  if (!good) throw std::invalid_argument(std::string(name) + " must rise from 0 to " + std::to_string(total));
}

nb::tuple induced_cycles(Vector vertex_ptr, Vector edge_ptr, Pairs edges, int64_t max_length, int64_t limit) {
  const int64_t num_graphs = static_cast<int64_t>(vertex_ptr.size()) - 1;
  Rings rings;
  std::vector<int64_t> ring_ptr{0};
  {
    nb::gil_scoped_release release;
    check_ptr(vertex_ptr, vertex_ptr.size() ? vertex_ptr(num_graphs) : 0, "vertex_ptr");
    check_ptr(edge_ptr, static_cast<int64_t>(edges.shape(0)), "edge_ptr");
    if (vertex_ptr.size() != edge_ptr.size()) throw std::invalid_argument("vertex_ptr and edge_ptr differ in length");
    InducedCycles search;
    for (int64_t g = 0; g < num_graphs; ++g) {
      const int64_t first = vertex_ptr(g), last = vertex_ptr(g + 1), m = edge_ptr(g + 1) - edge_ptr(g);
      const int64_t* own = edges.data() + 2 * edge_ptr(g);
      check_edges(own, m, first, last);
      if (!search.find(last - first, m, own, first, max_length, limit, rings))
        throw std::length_error("graph " + std::to_string(g) + " has more than " + std::to_string(limit) +
                                " induced cycles of up to " + std::to_string(max_length) +
                                " vertices: choose a smaller length or a higher limit");
      ring_ptr.push_back(rings.size());
    }
  }
  return nb::make_tuple(to_array(ring_ptr), to_array(rings.ptr), to_array(rings.vertices));
}

// What is wrong with a ring that uses an edge which is not there.
std::string missing_step(Pairs edges, const int64_t* ring, int64_t length) {
  for (int64_t k = 0; k < length; ++k) {
    const int64_t u = ring[k], v = ring[(k + 1) % length];
    bool found = false;
    for (std::size_t e = 0; e < edges.shape(0); ++e) found |= edges(e, 0) == std::min(u, v) && edges(e, 1) == std::max(u, v);
    if (!found) return "a ring steps from vertex " + std::to_string(u) + " to " + std::to_string(v) + ", which no edge joins";
  }
  return "a ring uses an edge twice";
}

nb::tuple ring_boundary(int64_t num_vertices, Pairs edges, Vector ptr, Vector vertices) {
  const int64_t nnz = static_cast<int64_t>(vertices.size());
  Buffer index, sign;
  {
    nb::gil_scoped_release release;
    check_edges(edges.data(), edges.shape(0), 0, num_vertices);
    check_ptr(ptr, nnz, "ptr");
    for (int64_t k = 0; k < nnz; ++k)
      if (vertices(k) < 0 || vertices(k) >= num_vertices)
        throw std::invalid_argument("ring vertex " + std::to_string(vertices(k)) + " is not a vertex of the graph");
    int64_t* face = index.extend(2 * nnz);
    const int64_t missing = RingBoundary().build(num_vertices, edges.shape(0), edges.data(), 0, ptr.size() - 1,
                                                 ptr.data(), vertices.data(), face, sign.extend(nnz));
    if (missing >= 0) throw std::invalid_argument(missing_step(edges, &vertices(ptr(missing)), ptr(missing + 1) - ptr(missing)));
    int64_t* cell = face + nnz;
    for (std::size_t r = 0; r + 1 < ptr.size(); ++r)
      for (int64_t k = ptr(r); k < ptr(r + 1); ++k) *cell++ = static_cast<int64_t>(r);
  }
  const std::size_t entries = nnz;
  return nb::make_tuple(owned(index.release(), {2, entries}), owned(sign.release(), {entries}));
}

// Turns the faces of a level into finished boundary arrays in place.
void finish(CliqueLevel& level, Buffer& sign) {
  const int64_t arity = level.rank + 1, cells = level.size(), nnz = cells * arity;
  level.faces.reserve(2 * nnz);
  int64_t* cell = level.faces.data() + nnz;
  int64_t* s = sign.extend(nnz);
  for (int64_t i = 0; i < cells; ++i)
    for (int64_t k = 0; k < arity; ++k) {
      *cell++ = i;
      *s++ = (level.rank - k) % 2 == 0 ? 1 : -1;
    }
}

nb::list clique_boundaries(int64_t num_vertices, Pairs edges, int64_t max_rank, int64_t limit) {
  if (max_rank < 1) throw std::invalid_argument("max_rank must be at least 1");
  std::vector<CliqueLevel> levels;
  std::vector<Buffer> signs(max_rank + 1);
  {
    nb::gil_scoped_release release;
    check_edges(edges.data(), edges.shape(0), 0, num_vertices);
    levels = std::move(CliqueComplex(num_vertices, edges.shape(0), edges.data(), max_rank, limit).levels);
    for (int64_t r = 1; r <= max_rank; ++r) finish(levels[r], signs[r]);
  }
  nb::list out;
  for (int64_t r = 1; r <= max_rank; ++r) {
    const std::size_t nnz = signs[r].size();
    out.append(nb::make_tuple(owned(levels[r].faces.release(), {2, nnz}), owned(signs[r].release(), {nnz})));
  }
  return out;
}

}  // namespace

void bind_liftings(nb::module_& m) {
  using namespace nb::literals;
  m.def("induced_cycles", &induced_cycles, "vertex_ptr"_a, "edge_ptr"_a, "edges"_a, "max_length"_a, "limit"_a);
  m.def("ring_boundary", &ring_boundary, "num_vertices"_a, "edges"_a, "ptr"_a, "vertices"_a);
  m.def("clique_boundaries", &clique_boundaries, "num_vertices"_a, "edges"_a, "max_rank"_a, "limit"_a);
}

}  // namespace topodiff
