"""What the integer columns of a molecule's cochains mean: the whole schema is the two tables below.

Every feature is a category; a model gives each column an embedding with ``column.size`` rows.
``VERSION`` is part of every cache key and saved model: raise it with any change of meaning.
"""

from __future__ import annotations

from typing import NamedTuple

from topodiff.kernels.checks import check_choice

VERSION = 3

OTHER = "other"
NO_YES = ("no", "yes")


class Column(NamedTuple):
    """A categorical column: value i means ``vocabulary[i]``."""

    name: str
    vocabulary: tuple[int | str, ...]

    @property
    def size(self) -> int:
        """Number of categories."""
        return len(self.vocabulary)


class FeatureSet(NamedTuple):
    """The columns of x[0] (atoms), x[1] (bonds) and x[2] (rings)."""

    name: str
    ranks: tuple[tuple[Column, ...], ...]

    def sizes(self, rank: int) -> tuple[int, ...]:
        """Number of categories of every column of ``rank``."""
        return tuple(column.size for column in self.ranks[rank])

    @property
    def in_channels(self) -> dict[int, tuple[int, ...]]:
        """The sizes of all ranks that have columns, as models in :mod:`topodiff.nn` take them."""
        return {rank: self.sizes(rank) for rank, columns in enumerate(self.ranks) if columns}


# (element, formal charge, hydrogens written inside the brackets) of the 28 atom types of ZINC-12k
ZINC_ATOMS = (
    ("C", (6, 0, 0)), ("O", (8, 0, 0)), ("N", (7, 0, 0)), ("F", (9, 0, 0)), ("C H1", (6, 0, 1)),
    ("S", (16, 0, 0)), ("Cl", (17, 0, 0)), ("O-", (8, -1, 0)), ("NH+", (7, 1, 1)),
    ("Br", (35, 0, 0)), ("NH3+", (7, 1, 3)), ("NH2+", (7, 1, 2)), ("N+", (7, 1, 0)),
    ("N-", (7, -1, 0)), ("S-", (16, -1, 0)), ("I", (53, 0, 0)), ("P", (15, 0, 0)),
    ("OH+", (8, 1, 1)), ("NH-", (7, -1, 1)), ("O+", (8, 1, 0)), ("S+", (16, 1, 0)),
    ("PH", (15, 0, 1)), ("PH2", (15, 0, 2)), ("CH2-", (6, -1, 2)), ("P+", (15, 1, 0)),
    ("SH+", (16, 1, 1)), ("CH-", (6, -1, 1)), ("PH+", (15, 1, 1)),
)  # fmt: skip
ZINC_KEYS = {key: i for i, (_, key) in enumerate(ZINC_ATOMS)} | {(7, 0, 1): 2}  # [nH] is N

FEATURES = {
    "full": FeatureSet(
        "full",
        (
            (
                Column("element", (*range(119), OTHER)),  # atomic number; 0 is the dummy atom *
                Column("degree", (*range(7), OTHER)),  # bonds to atoms of the graph
                Column("charge", (*range(-3, 4), OTHER)),
                Column("hydrogens", (*range(5), OTHER)),  # those that are not atoms of the graph
                Column(
                    "hybridisation",
                    ("unspecified", "s", "sp", "sp2", "sp3", "sp2d", "sp3d", "sp3d2", OTHER),
                ),
                Column("aromatic", NO_YES),
                # CIP: independent of the order of atoms; r and s are pseudo-asymmetric centres,
                # other those that have no code or too many branches to compare
                Column("chirality", ("none", "R", "S", "r", "s", OTHER)),
                Column("in_ring", NO_YES),
                # neutrons less protons: 0 is deuterium, 1 tritium and carbon-13, 2 carbon-14
                Column("isotope", ("natural", *range(-4, 61), OTHER)),
                Column("radical_electrons", (*range(3), OTHER)),
            ),
            (
                Column("type", ("single", "double", "triple", "aromatic", OTHER)),
                Column("stereo", ("none", "cis", "trans", OTHER)),
                Column("conjugated", NO_YES),
                Column("in_ring", NO_YES),
            ),
            (
                Column("size", (*range(3, 19), OTHER)),
                Column("aromatic_bonds", ("none", "some", "all")),
                Column("heteroatoms", (*range(5), OTHER)),  # all but carbon
            ),
        ),
    ),
    "zinc": FeatureSet(
        "zinc",
        (
            (Column("type", (*(name for name, _ in ZINC_ATOMS), OTHER)),),
            (Column("order", (OTHER, 1, 2, 3)),),  # kekulised
            (),
        ),
    ),
}


def feature_set(name: str) -> FeatureSet:
    """The feature set of that name; ValueError lists the names there are."""
    check_choice("features", name, FEATURES)
    return FEATURES[name]
