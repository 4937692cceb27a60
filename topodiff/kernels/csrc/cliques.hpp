// Clique complex of a graph: the boundary of every clique of up to max_rank + 1 vertices, in lexicographic order.
//
// The cliques of one rank are the leaves of a trie: those that extend one clique by a larger vertex lie side by side,
// sorted by that vertex. The extensions of a clique t = (u_0, ..., u_r) are the vertices common to
//   the later siblings of t,  and  the children of each face of t but its prefix (u_0, ..., u_{r-1}),
// and where such a vertex w stands in those lists are the very numbers of the faces of (u_0, ..., u_r, w). So one
// intersection of short sorted lists gives a clique with its boundary, and nothing is looked up or sorted.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace topodiff {

// A growing array of int64 that leaves with its memory: realloc moves pages where push_back would copy them.
class Buffer {
 public:
  void reserve(std::size_t capacity) {
    void* grown = std::realloc(data_.get(), (capacity ? capacity : 1) * sizeof(int64_t));
    if (!grown) throw std::bad_alloc();
    data_.release();
    data_.reset(static_cast<int64_t*>(grown));
    capacity_ = capacity;
  }
  // Room for `count` more at the end; the caller fills them.
  int64_t* extend(std::size_t count) {
    if (size_ + count > capacity_) reserve(2 * capacity_ + count);
    size_ += count;
    return data_.get() + size_ - count;
  }
  int64_t* data() { return data_.get(); }
  const int64_t* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  int64_t* release() {
    if (!data_) reserve(0);  // never null
    return data_.release();
  }

 private:
  struct Free {
    void operator()(int64_t* p) const { std::free(p); }
  };
  std::unique_ptr<int64_t, Free> data_;
  std::size_t size_ = 0, capacity_ = 0;
};

struct CliqueLevel {
  int64_t rank = 0;
  Buffer faces;                 // rank + 1 per clique, ascending: without its last vertex, ..., without its first
  std::vector<int32_t> last;    // largest vertex of each clique
  std::vector<int64_t> child;   // clique i is extended by cliques child[i], ..., child[i + 1] - 1 of the next rank
  int64_t size() const { return static_cast<int64_t>(last.size()); }
};

class CliqueComplex {
 public:
  // Edges (u, v), u < v, in lexicographic order; max_rank >= 1. Throws std::length_error beyond `limit` cliques of two
  // or more vertices. Level 0 holds nothing but the edges of every vertex.
  CliqueComplex(int64_t n, int64_t m, const int64_t* edges, int64_t max_rank, int64_t limit) : limit_(limit) {
    levels.resize(max_rank + 1);
    CliqueLevel& vertices = levels[0];
    count(m);
    CliqueLevel& pairs = levels[1];
    pairs.rank = 1;
    vertices.child.assign(n + 1, 0);
    std::copy(edges, edges + 2 * m, pairs.faces.extend(2 * m));
    pairs.last.resize(m);
    for (int64_t e = 0; e < m; ++e) {
      ++vertices.child[edges[2 * e] + 1];
      pairs.last[e] = static_cast<int32_t>(edges[2 * e + 1]);
    }
    for (int64_t v = 0; v < n; ++v) vertices.child[v + 1] += vertices.child[v];
    for (int64_t r = 1; r < max_rank; ++r) expand(levels[r - 1], levels[r], levels[r + 1]);
  }

  std::vector<CliqueLevel> levels;

 private:
  struct Range {
    int64_t at, end;
  };

  void count(int64_t more) {
    if ((total_ += more) > limit_)
      throw std::length_error("the clique complex has more than " + std::to_string(limit_) +
                              " cells of rank 1 and higher: choose a smaller rank or a higher limit");
  }

  // Moves to the first entry that is not below x: doubling steps, then bisection.
  static void seek(Range& r, int32_t x, const int32_t* last) {
    if (r.at == r.end || last[r.at] >= x) return;
    int64_t low = r.at, step = 1;
    while (low + step < r.end && last[low + step] < x) {
      low += step;
      step *= 2;
    }
    int64_t high = std::min(low + step, r.end);
    while (high - low > 1) {
      const int64_t mid = (low + high) / 2;
      if (last[mid] < x) low = mid;
      else high = mid;
    }
    r.at = high;
  }

  void expand(const CliqueLevel& below, CliqueLevel& level, CliqueLevel& above) {
    const int64_t rank = above.rank = level.rank + 1;
    std::vector<Range> lists(rank);
    level.child.reserve(level.size() + 1);
    level.child.push_back(0);
    for (int64_t i = 0; i < level.size(); ++i) {
      const int64_t* faces = level.faces.data() + i * rank;
      bool empty = false;
      for (int64_t k = 0; k < rank; ++k) {
        lists[k] = {k == 0 ? i + 1 : below.child[faces[k]], below.child[faces[k] + 1]};
        empty |= lists[k].at == lists[k].end;
      }
      const std::size_t before = above.last.size();
      if (!empty) intersect(i, lists, level.last.data(), above);
      count(static_cast<int64_t>(above.last.size() - before));
      level.child.push_back(above.size());
    }
  }

  // Leapfrog over sorted lists: each jumps to the largest vertex that any of them has asked for.
  static void intersect(int64_t prefix, std::vector<Range>& lists, const int32_t* last, CliqueLevel& above) {
    const std::size_t count = lists.size();
    int32_t x = last[lists[0].at];
    for (std::size_t k = 1, agree = 1;; k = k + 1 == count ? 0 : k + 1) {
      Range& list = lists[k];
      seek(list, x, last);
      if (list.at == list.end) return;
      if (last[list.at] != x) {
        x = last[list.at];
        agree = 1;
      } else if (++agree == count) {
        int64_t* faces = above.faces.extend(count + 1);
        faces[0] = prefix;
        for (std::size_t j = 0; j < count; ++j) faces[j + 1] = lists[j].at;
        above.last.push_back(x);
        if (++list.at == list.end) return;
        x = last[list.at];
        agree = 1;
      }
    }
  }

  int64_t limit_, total_ = 0;
};

}  // namespace topodiff
