// Reader of RDKit's MolInterchange JSON (MolToJSON): what a featurised complex needs, everything else is skipped.
// Fields that are left out take the value given under "defaults".
#pragma once
#include <array>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cycles.hpp"

namespace topodiff {

struct Atom {
  int64_t element = 6, hydrogens = 0, charge = 0, radicals = 0, isotope = 0;
  bool tetrahedral = false, aromatic = false;
  char cip = 0;  // 'R', 'S', 'r' or 's'; any other letter means another kind of centre; 0 none
};

struct Bond {
  int64_t order = 1, stereo = 0, number = 0;  // stereo: 0 none, 1 cis, 2 trans, 3 other
  std::array<int64_t, 2> atoms{-1, -1};       // smaller atom first
  bool aromatic = false;
};

struct Molecule {
  int64_t version = 0;
  std::vector<Atom> atoms;
  std::vector<Bond> bonds;  // as numbered by RDKit
  Rings rings;              // symmetrised smallest rings
};

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : p_(text.data()), end_(text.data() + text.size()) {}

  // Throws std::invalid_argument where the text is not of the expected form.
  void read(Molecule& molecule) {
    atom_ = Atom();
    bond_ = Bond();
    molecule = Molecule();
    object([&](std::string_view key) {
      if (key == "rdkitjson") object([&](std::string_view k) { k == "version" ? void(molecule.version = integer()) : skip(); });
      else if (key == "defaults") defaults();
      else if (key == "molecules") array([&] { one(molecule); });
      else skip();
    });
  }

 private:
  static constexpr int kDepth = 64;

  void defaults() {
    object([&](std::string_view key) {
      if (key == "atom") atom(atom_);
      else if (key == "bond") bond(bond_);
      else skip();
    });
  }

  void one(Molecule& molecule) {
    object([&](std::string_view key) {
      if (key == "atoms") array([&] { atom(molecule.atoms.emplace_back(atom_)); });
      else if (key == "bonds") array([&] {
        const int64_t number = static_cast<int64_t>(molecule.bonds.size());
        bond(molecule.bonds.emplace_back(bond_));
        molecule.bonds.back().number = number;
      });
      else if (key == "extensions") array([&] { extension(molecule); });
      else skip();
    });
    for (const Bond& b : molecule.bonds)
      if (b.atoms[0] == b.atoms[1]) fail("a bond without two atoms");
    for (const Bond& b : molecule.bonds) at(molecule.atoms, b.atoms[0]), at(molecule.atoms, b.atoms[1]);
    for (const int64_t v : molecule.rings.vertices) at(molecule.atoms, v);
  }

  void atom(Atom& a) {
    object([&](std::string_view key) {
      if (key == "z") a.element = integer();
      else if (key == "impHs") a.hydrogens = integer();
      else if (key == "chg") a.charge = integer();
      else if (key == "nRad") a.radicals = integer();
      else if (key == "isotope") a.isotope = integer();
      else if (key == "stereo") {
        const std::string_view s = string();
        a.tetrahedral = s == "cw" || s == "ccw";
      } else skip();
    });
  }

  void bond(Bond& b) {
    object([&](std::string_view key) {
      if (key == "bo") b.order = integer();
      else if (key == "atoms") {
        int k = 0;
        array([&] { const int64_t v = integer(); if (k < 2) b.atoms[k++] = v; });
        if (b.atoms[0] > b.atoms[1]) std::swap(b.atoms[0], b.atoms[1]);
      } else if (key == "stereo") {
        const std::string_view s = string();
        b.stereo = s == "unspecified" ? 0 : s == "cis" ? 1 : s == "trans" ? 2 : 3;
      } else skip();
    });
  }

  void extension(Molecule& molecule) {
    object([&](std::string_view key) {
      if (key == "aromaticAtoms") array([&] { at(molecule.atoms, integer()).aromatic = true; });
      else if (key == "aromaticBonds") array([&] { at(molecule.bonds, integer()).aromatic = true; });
      else if (key == "cipCodes") array([&] { cip(molecule); });
      else if (key == "atomRings") array([&] {
        array([&] { molecule.rings.vertices.push_back(integer()); });
        molecule.rings.ptr.push_back(static_cast<int64_t>(molecule.rings.vertices.size()));
      });
      else skip();
    });
  }

  void cip(Molecule& molecule) {
    int64_t which = -1;
    array([&] {
      if (peek() != '"') return void(which = integer());
      const std::string_view code = string();
      at(molecule.atoms, which).cip = code.size() == 1 ? code[0] : '?';
    });
  }

  template <class T>
  T& at(std::vector<T>& values, int64_t i) {
    if (i < 0 || i >= static_cast<int64_t>(values.size())) fail("an index out of range");
    return values[i];
  }

  // -- tokens -----------------------------------------------------------------------------------

  template <class F>
  void object(F&& member) {
    expect('{');
    if (accept('}')) return;
    do {
      const std::string_view key = string();
      expect(':');
      member(key);
    } while (accept(','));
    expect('}');
  }

  template <class F>
  void array(F&& element) {
    expect('[');
    if (accept(']')) return;
    do element();
    while (accept(','));
    expect(']');
  }

  void skip() {
    if (++depth_ > kDepth) fail("values nested too deeply");
    const char c = peek();
    if (c == '{') object([&](std::string_view) { skip(); });
    else if (c == '[') array([&] { skip(); });
    else if (c == '"') string();
    else
      while (p_ < end_ && *p_ != ',' && *p_ != '}' && *p_ != ']') ++p_;
    --depth_;
  }

  // The text between quotes as it stands; escapes are stepped over, not decoded.
  std::string_view string() {
    expect('"');
    const char* start = p_;
    while (p_ < end_ && *p_ != '"') p_ += *p_ == '\\' && p_ + 1 < end_ ? 2 : 1;
    const std::string_view text(start, static_cast<std::size_t>(p_ - start));
    expect('"');
    return text;
  }

  int64_t integer() {
    const bool negative = accept('-');
    if (peek() < '0' || *p_ > '9') fail("something else than a number");
    int64_t value = 0;
    for (; p_ < end_ && *p_ >= '0' && *p_ <= '9'; ++p_)
      if ((value = 10 * value + (*p_ - '0')) > INT32_MAX) fail("a number too large");
    return negative ? -value : value;
  }

  char peek() {
    while (p_ < end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\t' || *p_ == '\r')) ++p_;
    if (p_ == end_) fail("an early end");
    return *p_;
  }

  bool accept(char c) {
    if (peek() != c) return false;
    ++p_;
    return true;
  }

  void expect(char c) {
    if (peek() != c) fail("an unexpected character");
    ++p_;
  }

  [[noreturn]] void fail(const char* what) { throw std::invalid_argument(std::string("molecule JSON holds ") + what); }

  const char *p_, *end_;
  int depth_ = 0;
  Atom atom_;
  Bond bond_;
};

}  // namespace topodiff
