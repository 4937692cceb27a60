// Molecules, as RDKit writes them in JSON, to the arrays of one batched complex: vertices are atoms, edges bonds,
// 2-cells rings. Column by column the features are those of topodiff/molecules/features.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "molecules_json.hpp"

namespace nb = nanobind;

namespace topodiff {
namespace {

using Ints = std::vector<int64_t>;

// Position in the range low .. high; one past its end for everything else.
int64_t bucket(int64_t value, int64_t low, int64_t high) {
  return low <= value && value <= high ? value - low : high - low + 1;
}

int64_t chirality(const Atom& a) {
  if (!a.tetrahedral && !a.cip) return 0;
  const std::size_t place = std::string_view("RSrs").find(a.cip);
  return place == std::string_view::npos ? 5 : 1 + static_cast<int64_t>(place);
}

struct Options {
  bool induced;
  int64_t max_ring_size, limit;
  std::map<std::tuple<int64_t, int64_t, int64_t>, int64_t> atom_types;  // (element, charge, hydrogens); empty: all columns
  int64_t other_type = 0;
};

class Batch {
 public:
  explicit Batch(const Options& options) : options_(options) {}

  // Appends a molecule. `atom_extra` and `bond_extra` hold one byte per atom and bond which the JSON does not tell:
  // hybridisation and conjugation, or with atom types the hydrogens written in the SMILES and nothing.
  // Returns false, with nothing appended, if there are more rings than the limit.
  bool add(std::string_view json, std::string_view atom_extra, std::string_view bond_extra) {
    JsonReader(json).read(molecule_);
    if (molecule_.version < 11 || molecule_.version > 12)  // those of RDKit 2024.03 to 2026.09
      throw std::invalid_argument("molecule JSON has an unknown version");
    const std::size_t bonds = options_.atom_types.empty() ? molecule_.bonds.size() : 0;
    if (atom_extra.size() != molecule_.atoms.size() || bond_extra.size() != bonds)
      throw std::invalid_argument("molecule JSON and the properties beside it differ in size");
    sort_bonds();
    mark_rings();
    if (!find_rings()) return false;
    append_topology();
    if (options_.atom_types.empty()) append_features(atom_extra, bond_extra);
    else append_types(atom_extra);
    return true;
  }

  nb::dict arrays();

 private:
  int64_t num_atoms() const { return static_cast<int64_t>(molecule_.atoms.size()); }
  int64_t num_bonds() const { return static_cast<int64_t>(molecule_.bonds.size()); }

  void sort_bonds() {
    auto& bonds = molecule_.bonds;
    std::sort(bonds.begin(), bonds.end(), [](const Bond& a, const Bond& b) { return a.atoms < b.atoms; });
    const auto twice = std::adjacent_find(bonds.begin(), bonds.end(), [](const Bond& a, const Bond& b) { return a.atoms == b.atoms; });
    if (twice != bonds.end()) throw std::invalid_argument("molecule JSON holds a bond twice");
    edges_.clear();
    for (const Bond& b : bonds) edges_.insert(edges_.end(), b.atoms.begin(), b.atoms.end());
  }

  int64_t bond_between(int64_t u, int64_t v) const {
    const std::array<int64_t, 2> key{std::min(u, v), std::max(u, v)};
    const auto& bonds = molecule_.bonds;
    const auto found = std::lower_bound(bonds.begin(), bonds.end(), key,
                                        [](const Bond& b, const std::array<int64_t, 2>& k) { return b.atoms < k; });
    if (found == bonds.end() || found->atoms != key) throw std::invalid_argument("a ring uses a bond that is missing");
    return found - bonds.begin();
  }

  void mark_rings() {
    const Rings& rings = molecule_.rings;
    atom_in_ring_.assign(num_atoms(), 0);
    bond_in_ring_.assign(num_bonds(), 0);
    for (int64_t r = 0; r < rings.size(); ++r) {
      if (rings.ptr[r + 1] - rings.ptr[r] < 3) throw std::invalid_argument("molecule JSON holds a ring of less than 3 atoms");
      for (int64_t k = rings.ptr[r], last = rings.ptr[r + 1] - 1; k <= last; ++k) {
        atom_in_ring_[rings.vertices[k]] = 1;
        bond_in_ring_[bond_between(rings.vertices[k], rings.vertices[k < last ? k + 1 : rings.ptr[r]])] = 1;
      }
    }
  }

  bool find_rings() {
    rings_ = Rings();
    if (options_.induced)
      return search_.find(num_atoms(), num_bonds(), edges_.data(), 0, options_.max_ring_size, options_.limit, rings_);
    std::vector<Ints> cycles;
    const Rings& given = molecule_.rings;
    for (int64_t r = 0; r < given.size(); ++r) {
      Ints cycle(given.vertices.begin() + given.ptr[r], given.vertices.begin() + given.ptr[r + 1]);
      if (static_cast<int64_t>(cycle.size()) > options_.max_ring_size) continue;
      std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
      if (cycle.back() < cycle[1]) std::reverse(cycle.begin() + 1, cycle.end());
      cycles.push_back(std::move(cycle));
    }
    std::sort(cycles.begin(), cycles.end(), [](const Ints& a, const Ints& b) {
      return a.size() != b.size() ? a.size() < b.size() : a < b;
    });
    cycles.erase(std::unique(cycles.begin(), cycles.end()), cycles.end());
    for (const Ints& cycle : cycles) {
      rings_.vertices.insert(rings_.vertices.end(), cycle.begin(), cycle.end());
      rings_.ptr.push_back(static_cast<int64_t>(rings_.vertices.size()));
    }
    return rings_.size() <= options_.limit;
  }

  void append_topology() {
    const int64_t first_atom = ptr_[0].back(), first_bond = ptr_[1].back(), first_ring = ptr_[2].back();
    for (const int64_t v : edges_) edge_faces_.push_back(first_atom + v);
    const std::size_t start = faces_.size(), entries = rings_.vertices.size();
    faces_.resize(start + entries);
    signs_.resize(start + entries);
    boundary_.build(num_atoms(), num_bonds(), edges_.data(), 0, rings_.size(), rings_.ptr.data(), rings_.vertices.data(),
                    faces_.data() + start, signs_.data() + start);
    local_faces_.assign(faces_.begin() + start, faces_.end());
    for (std::size_t k = start; k < faces_.size(); ++k) faces_[k] += first_bond;
    for (int64_t r = 0; r < rings_.size(); ++r) cells_.insert(cells_.end(), rings_.ptr[r + 1] - rings_.ptr[r], first_ring + r);
    ptr_[0].push_back(first_atom + num_atoms());
    ptr_[1].push_back(first_bond + num_bonds());
    ptr_[2].push_back(first_ring + rings_.size());
  }

  void append_features(std::string_view hybridisation, std::string_view conjugated) {
    degree_.assign(num_atoms(), 0);
    for (const int64_t v : edges_) ++degree_[v];
    for (int64_t i = 0; i < num_atoms(); ++i) {
      const Atom& a = molecule_.atoms[i];
      const int64_t excess = a.isotope - 2 * a.element;  // neutrons less protons
      x_[0].insert(x_[0].end(), {bucket(a.element, 0, 118), bucket(degree_[i], 0, 6), bucket(a.charge, -3, 3),
                                 bucket(a.hydrogens, 0, 4), bucket(hybridisation[i], 0, 7), a.aromatic, chirality(a),
                                 atom_in_ring_[i], a.isotope ? 1 + bucket(excess, -4, 60) : 0, bucket(a.radicals, 0, 2)});
    }
    for (int64_t e = 0; e < num_bonds(); ++e) {
      const Bond& b = molecule_.bonds[e];
      const int64_t type = b.aromatic ? 3 : 1 <= b.order && b.order <= 3 ? b.order - 1 : 4;
      x_[1].insert(x_[1].end(), {type, b.stereo, conjugated[b.number] != 0, bond_in_ring_[e]});
    }
    for (int64_t r = 0; r < rings_.size(); ++r) {
      const int64_t size = rings_.ptr[r + 1] - rings_.ptr[r];
      int64_t aromatic = 0, hetero = 0;
      for (int64_t k = rings_.ptr[r]; k < rings_.ptr[r + 1]; ++k) {
        aromatic += molecule_.bonds[local_faces_[k]].aromatic;
        hetero += molecule_.atoms[rings_.vertices[k]].element != 6;
      }
      x_[2].insert(x_[2].end(), {bucket(size, 3, 18), aromatic == 0 ? 0 : aromatic < size ? 1 : 2, bucket(hetero, 0, 4)});
    }
  }

  void append_types(std::string_view hydrogens) {
    const int64_t other = options_.other_type;
    for (int64_t i = 0; i < num_atoms(); ++i) {
      const Atom& a = molecule_.atoms[i];
      const auto found = options_.atom_types.find({a.element, a.charge, hydrogens[i]});
      x_[0].push_back(found == options_.atom_types.end() ? other : found->second);
    }
    for (const Bond& b : molecule_.bonds) x_[1].push_back(1 <= b.order && b.order <= 3 ? b.order : 0);
  }

  const Options& options_;
  Molecule molecule_;
  InducedCycles search_;
  RingBoundary boundary_;
  Rings rings_;
  Ints edges_, local_faces_, degree_, atom_in_ring_, bond_in_ring_;
  Ints ptr_[3] = {{0}, {0}, {0}}, edge_faces_, faces_, cells_, signs_, x_[3];
};

nb::ndarray<nb::numpy, int64_t> to_array(Ints&& values) {
  auto* owned = new Ints(std::move(values));
  nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<Ints*>(p); });
  return nb::ndarray<nb::numpy, int64_t>(owned->data(), {owned->size()}, owner);
}

nb::dict Batch::arrays() {
  nb::dict out;
  out["ptr"] = nb::make_tuple(to_array(std::move(ptr_[0])), to_array(std::move(ptr_[1])), to_array(std::move(ptr_[2])));
  out["x"] = nb::make_tuple(to_array(std::move(x_[0])), to_array(std::move(x_[1])), to_array(std::move(x_[2])));
  out["edges"] = to_array(std::move(edge_faces_));
  out["faces"] = to_array(std::move(faces_));
  out["cells"] = to_array(std::move(cells_));
  out["signs"] = to_array(std::move(signs_));
  return out;
}

std::string_view view(nb::handle bytes) {
  if (!nb::isinstance<nb::bytes>(bytes)) throw nb::type_error("atom and bond properties must be bytes");
  return {nb::borrow<nb::bytes>(bytes).c_str(), nb::len(bytes)};
}

// Returns the arrays and the numbers of the molecules left out because they have more rings than the limit.
nb::tuple lift_molecules(nb::list molecules, bool induced, int64_t max_ring_size, int64_t limit, nb::list atom_types) {
  Options options{induced, max_ring_size, limit, {}, 0};
  for (nb::handle t : atom_types) {
    const auto [element, charge, hydrogens, type] = nb::cast<std::tuple<int64_t, int64_t, int64_t, int64_t>>(t);
    options.atom_types[{element, charge, hydrogens}] = type;
    options.other_type = std::max(options.other_type, type + 1);
  }
  Batch batch(options);
  nb::list left_out;
  std::size_t i = 0;
  for (nb::handle molecule : molecules) {
    if (!batch.add(nb::cast<std::string_view>(molecule[0]), view(molecule[1]), view(molecule[2]))) left_out.append(i);
    ++i;
  }
  return nb::make_tuple(batch.arrays(), left_out);
}

}  // namespace

void bind_molecules(nb::module_& m) {
  using namespace nb::literals;
  m.def("lift_molecules", &lift_molecules, "molecules"_a, "induced"_a, "max_ring_size"_a, "limit"_a, "atom_types"_a);
}

}  // namespace topodiff
