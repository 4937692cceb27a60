// Induced (chordless) cycles of a graph, each once, and the signed boundary of the 2-cells on them.
//
// A cycle is written from its smallest vertex, then the smaller of that vertex's two neighbours on it. One search per
// vertex s finds the cycles through s that are left, as paths s, a, ..., b with a < b, and then takes s away:
//   * vertices of degree < 2 are peeled off, also after each s is done, so what is not on a cycle costs nothing;
//   * s goes from high degree to low (Chiba and Nishizeki 1985), so no path walks the neighbours of a larger hub;
//   * a path of p vertices goes to w only if p + dist(s, w) <= max_length;
//   * chord[w] is the first place on the path, after s, that is next to w, so chords are seen in O(1), and the
//     neighbours of a vertex on the path are marked once, not for each way on;
//   * once many steps in a row found nothing, a step must first show a shortest way back to s, which closes an
//     induced cycle. So time is polynomial per cycle found, and a bound on cycles is a bound on time.
#pragma once
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace topodiff {

// Ragged list: ring i is vertices[ptr[i]], ..., vertices[ptr[i + 1] - 1].
struct Rings {
  std::vector<int64_t> ptr{0}, vertices;
  int64_t size() const { return static_cast<int64_t>(ptr.size()) - 1; }
};

// A searcher that keeps its memory from graph to graph.
class InducedCycles {
 public:
  // Appends to `out` the induced cycles of 3 .. max_length vertices of the graph on first, ..., first + n - 1 whose
  // edges (u, v), u < v, are in lexicographic order; shorter cycles first, then in lexicographic order.
  // Returns false, with `out` as it was, if there are more than `limit`.
  bool find(int64_t n, int64_t m, const int64_t* edges, int64_t first, int64_t max_length, int64_t limit, Rings& out) {
    build(n, m, edges, first);
    limit_ = static_cast<std::size_t>(std::max<int64_t>(limit, 0));
    max_length_ = static_cast<int32_t>(std::min(max_length, n));
    sort_starts();
    for (const int32_t s : starts_) {
      if (degree_[s] < 2) continue;
      if (!search(s)) return false;
      remove(s);
    }
    append_sorted(first, out);
    return true;
  }

 private:
  static constexpr int64_t kPatience = 64;  // steps that may find nothing before a step needs a certificate
  static constexpr int32_t kFree = INT32_MAX;

  void build(int64_t n, int64_t m, const int64_t* edges, int64_t first) {
    row_.assign(n + 1, 0);
    for (int64_t e = 0; e < 2 * m; ++e) ++row_[edges[e] - first + 1];
    degree_.assign(row_.begin() + 1, row_.end());
    for (int64_t v = 0; v < n; ++v) row_[v + 1] += row_[v];
    neighbour_.resize(2 * m);
    cursor_.assign(row_.begin(), row_.end() - 1);
    for (int64_t e = 0; e < m; ++e) {  // lexicographic edges give sorted rows
      const int32_t u = static_cast<int32_t>(edges[2 * e] - first), v = static_cast<int32_t>(edges[2 * e + 1] - first);
      neighbour_[cursor_[u]++] = v;
      neighbour_[cursor_[v]++] = u;
    }
    distance_.assign(n, -1);
    chord_.assign(n, kFree);
    seen_.assign(n, 0);
    stamp_ = idle_ = 0;
    patience_ = kPatience;
    lengths_.clear();
    found_.clear();
    for (int32_t v = 0; v < n; ++v)
      if (degree_[v] == 1) remove(v);
  }

  // Takes v out of the graph, then whatever is left with a single neighbour.
  void remove(int32_t v) {
    queue_.assign(1, v);
    degree_[v] = 0;
    for (std::size_t i = 0; i < queue_.size(); ++i)
      for (int64_t e = row_[queue_[i]]; e < row_[queue_[i] + 1]; ++e) {
        const int32_t w = neighbour_[e];
        if (degree_[w] == 0) continue;
        if (--degree_[w] == 1) {
          degree_[w] = 0;
          queue_.push_back(w);
        }
      }
  }

  // What is left of the vertices, by falling degree.
  void sort_starts() {
    starts_.clear();
    for (int32_t v = 0; v < static_cast<int32_t>(degree_.size()); ++v)
      if (degree_[v] > 1) starts_.push_back(v);
    std::stable_sort(starts_.begin(), starts_.end(), [this](int32_t u, int32_t v) { return degree_[u] > degree_[v]; });
  }

  // Distance from s where a cycle of max_length through s can reach, -1 elsewhere. The ball is in ball_.
  void measure(int32_t s) {
    ball_.assign(1, s);
    distance_[s] = 0;
    for (std::size_t i = 0; i < ball_.size(); ++i) {
      const int32_t d = distance_[ball_[i]] + 1;
      if (d > max_length_ / 2) break;
      for (int64_t e = row_[ball_[i]]; e < row_[ball_[i] + 1]; ++e) {
        const int32_t w = neighbour_[e];
        if (degree_[w] == 0 || distance_[w] >= 0) continue;
        distance_[w] = d;
        ball_.push_back(w);
      }
    }
  }

  bool search(int32_t s) {
    measure(s);
    bool within_limit = true;
    for (int64_t e = row_[s]; within_limit && e < row_[s + 1]; ++e)
      if (degree_[neighbour_[e]] > 0) within_limit = extend(s, neighbour_[e]);
    for (const int32_t v : ball_) distance_[v] = -1;
    return within_limit;
  }

  // All cycles s, a, ..., b with b > a.
  bool extend(int32_t s, int32_t a) {
    path_.assign({s, a});
    marked_ = 1;  // s marks nothing: what is next to it is where a cycle closes
    cursor_[a] = row_[a];
    chord_[a] = 0;
    bool within_limit = true;
    while (within_limit && path_.size() > 1) {
      const int32_t u = path_.back(), place = static_cast<int32_t>(path_.size()) - 1;
      if (cursor_[u] == row_[u + 1]) {
        pop();
        continue;
      }
      const int32_t w = neighbour_[cursor_[u]++];
      const int32_t length = place + 1 + distance_[w];
      if (distance_[w] <= 0 || chord_[w] < place || length > max_length_) continue;
      if (distance_[w] > 1) {
        push(w);
        if (++idle_ > patience_ && !certify(w, a)) pop();
      } else if (w > a) {
        within_limit = lengths_.size() < limit_;
        if (within_limit) record(w);
      }
    }
    chord_[a] = kFree;
    return within_limit;
  }

  void push(int32_t w) {
    if (marked_ < path_.size()) {
      const int32_t u = path_.back(), place = static_cast<int32_t>(marked_++);
      for (int64_t e = row_[u]; e < row_[u + 1]; ++e) {
        int32_t& chord = chord_[neighbour_[e]];
        if (chord == kFree) chord = place;
      }
    }
    path_.push_back(w);
    cursor_[w] = row_[w];
  }

  void pop() {
    const int32_t u = path_.back();
    if (marked_ == path_.size()) {
      const int32_t place = static_cast<int32_t>(--marked_);
      for (int64_t e = row_[u]; e < row_[u + 1]; ++e) {
        int32_t& chord = chord_[neighbour_[e]];
        if (chord == place) chord = kFree;
      }
    }
    path_.pop_back();
  }

  // The cycle that the path closes with w, turned to its smallest vertex and from there to the smaller neighbour.
  void record(int32_t w) {
    path_.push_back(w);
    const std::size_t length = path_.size(), start = found_.size();
    found_.resize(start + length);
    std::rotate_copy(path_.begin(), std::min_element(path_.begin(), path_.end()), path_.end(), found_.begin() + start);
    if (found_[start + 1] > found_.back()) std::reverse(found_.begin() + start + 1, found_.end());
    path_.pop_back();
    lengths_.push_back(static_cast<int32_t>(length));
    idle_ = 0;
  }

  // After a certificate, as many steps are free as it took to find, so that certificates at most double the work.
  bool certify(int32_t w, int32_t a) {
    if (!can_close(w, a)) return false;
    patience_ = std::max<int64_t>(kPatience, queue_.size());
    idle_ = 0;
    return true;
  }

  // Is there a way from the end w of the path to a neighbour of s beyond a, short enough and without a chord? A
  // shortest one is induced.
  bool can_close(int32_t w, int32_t a) {
    queue_.assign(1, w);
    seen_[w] = ++stamp_;
    int32_t length = static_cast<int32_t>(path_.size());  // vertices on the path up to the next layer's parent
    for (std::size_t i = 0, layer_end = 1; i < queue_.size(); ++i) {
      if (i == layer_end) {
        ++length;
        layer_end = queue_.size();
      }
      for (int64_t e = row_[queue_[i]]; e < row_[queue_[i] + 1]; ++e) {
        const int32_t x = neighbour_[e], d = distance_[x];
        if (d <= 0 || chord_[x] != kFree || seen_[x] == stamp_ || length + d > max_length_) continue;
        if (d == 1) {
          if (x > a) return true;
          continue;
        }
        seen_[x] = stamp_;
        queue_.push_back(x);
      }
    }
    return false;
  }

  // By length, then lexicographically.
  void append_sorted(int64_t first, Rings& out) {
    const std::size_t count = lengths_.size();
    order_.resize(count);
    int64_t start = 0;
    for (std::size_t i = 0; i < count; start += lengths_[i++])
      order_[i] = {lengths_[i], static_cast<int64_t>(found_[start]) << 32 | found_[start + 1], start};
    std::sort(order_.begin(), order_.end(), [this](const Found& a, const Found& b) {
      if (a.length != b.length) return a.length < b.length;
      if (a.front != b.front) return a.front < b.front;
      const int32_t *left = &found_[a.start], *right = &found_[b.start];
      return std::lexicographical_compare(left + 2, left + a.length, right + 2, right + b.length);
    });
    for (const Found& f : order_) {
      for (int64_t i = f.start; i < f.start + f.length; ++i) out.vertices.push_back(first + found_[i]);
      out.ptr.push_back(static_cast<int64_t>(out.vertices.size()));
    }
  }

  struct Found {
    int32_t length;
    int64_t front, start;  // the first two vertices, and where they stand
  };

  int32_t max_length_ = 0;
  std::size_t limit_ = 0, marked_ = 0;  // marked_: vertices at the front of the path whose neighbours are in chord_
  int64_t stamp_ = 0, idle_ = 0, patience_ = kPatience;
  std::vector<int64_t> row_, cursor_, seen_;
  std::vector<int32_t> neighbour_, degree_, distance_, chord_, queue_, ball_, path_, starts_;
  std::vector<int32_t> found_, lengths_;
  std::vector<Found> order_;
};

// Signed boundary of 2-cells glued along rings: entry k has edge face[k] with sign[k] = +1 where the ring runs from
// the smaller to the larger vertex. Entries ptr[i] .. ptr[i + 1] belong to ring i and are sorted by edge.
class RingBoundary {
 public:
  // Edges (u, v), u < v, lexicographic, on vertices first .. first + n - 1. Returns -1, or the first ring that uses a
  // missing edge. `face` counts from the first of `edges`.
  int64_t build(int64_t n, int64_t m, const int64_t* edges, int64_t first, int64_t num_rings, const int64_t* ptr,
                const int64_t* vertices, int64_t* face, int64_t* sign) {
    row_.assign(n + 1, 0);
    for (int64_t e = 0; e < m; ++e) ++row_[edges[2 * e] - first + 1];
    for (int64_t v = 0; v < n; ++v) row_[v + 1] += row_[v];
    for (int64_t r = 0; r < num_rings; ++r) {
      entries_.clear();
      for (int64_t k = ptr[r]; k < ptr[r + 1]; ++k) {
        const int64_t u = vertices[k], v = vertices[k + 1 < ptr[r + 1] ? k + 1 : ptr[r]];
        const int64_t e = edge(std::min(u, v), std::max(u, v), edges, first);
        if (e < 0) return r;
        entries_.push_back({e, u < v ? 1 : -1});
      }
      std::sort(entries_.begin(), entries_.end());
      for (const auto& [e, s] : entries_) {
        *face++ = e;
        *sign++ = s;
      }
    }
    return -1;
  }

 private:
  int64_t edge(int64_t u, int64_t v, const int64_t* edges, int64_t first) const {
    int64_t low = row_[u - first], high = row_[u - first + 1];
    const int64_t end = high;
    while (low < high) {
      const int64_t mid = (low + high) / 2;
      if (edges[2 * mid + 1] < v) low = mid + 1;
      else high = mid;
    }
    return low < end && edges[2 * low + 1] == v ? low : -1;
  }

  std::vector<int64_t> row_;
  std::vector<std::pair<int64_t, int64_t>> entries_;
};

}  // namespace topodiff
