"""How molecules become complexes: the settings shared by every way in."""

from __future__ import annotations

from dataclasses import dataclass

from topodiff.complexes.integers import whole_number
from topodiff.kernels.checks import check_choice
from topodiff.molecules.features import feature_set
from topodiff.molecules.parse import MoleculeError

RINGS = ("induced", "smallest")
MAX_RINGS = 20_000  # more than any real molecule has; bounds time and memory


@dataclass(frozen=True)
class LiftSettings:
    """Which rings become 2-cells and which features the cells carry.

    Args:
        rings: ``"induced"``: every chordless cycle, the published cellular lifting;
            ``"smallest"``: RDKit's symmetrised smallest set of smallest rings (the set that is not
            symmetrised depends on the order of the atoms).
        max_ring_size: longer rings get no 2-cell; from 3 to 1000.
        features: name of a feature set, see :mod:`topodiff.molecules.features`.
        explicit_hydrogens: make every hydrogen a vertex.
        max_rings: a molecule with more rings than this is an error; from 0 to 10^9.
    """

    rings: str = "induced"
    max_ring_size: int = 18
    features: str = "full"
    explicit_hydrogens: bool = False
    max_rings: int = MAX_RINGS

    def __post_init__(self) -> None:
        check_choice("rings", self.rings, RINGS)
        whole_number("max_ring_size", self.max_ring_size, 3, 1000)
        whole_number("max_rings", self.max_rings, 0, 10**9)
        feature_set(self.features)
        if not isinstance(self.explicit_hydrogens, bool):
            raise TypeError(f"explicit_hydrogens must be a bool, got {self.explicit_hydrogens!r}")


class TooManyRings(MoleculeError):
    """A molecule with more rings than the settings admit."""

    def __init__(self, settings: LiftSettings) -> None:
        super().__init__(
            f"more than {settings.max_rings} rings of up to {settings.max_ring_size} atoms: "
            'lower max_ring_size (--max-ring-size), or take rings="smallest" (in Python)'
        )
