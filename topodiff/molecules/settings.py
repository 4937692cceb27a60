"""How molecules become complexes: the settings shared by every way in."""

from __future__ import annotations

from dataclasses import dataclass

from topodiff.molecules.features import feature_set
from topodiff.molecules.parse import MoleculeError

RINGS = ("induced", "smallest")
MAX_RINGS = 20_000  # more than any real molecule has; bounds time and memory


@dataclass(frozen=True)
class LiftSettings:
    """Which rings become 2-cells and which features the cells carry.

    Args:
        rings: ``"induced"``: every chordless cycle, the published cellular lifting;
            ``"smallest"``: RDKit's symmetrised smallest set of smallest rings.
        max_ring_size: longer rings get no 2-cell.
        features: name of a feature set, see :mod:`topodiff.molecules.features`.
        explicit_hydrogens: make every hydrogen a vertex.
        max_rings: a molecule with more rings than this is an error.
    """

    rings: str = "induced"
    max_ring_size: int = 18
    features: str = "full"
    explicit_hydrogens: bool = False
    max_rings: int = MAX_RINGS

    def __post_init__(self) -> None:
        if self.rings not in RINGS:
            raise ValueError(f"rings must be one of {list(RINGS)}, got {self.rings!r}")
        size = self.max_ring_size
        if isinstance(size, bool) or not isinstance(size, int) or not 3 <= size <= 1000:
            raise ValueError(f"max_ring_size must be a whole number from 3 to 1000, got {size!r}")
        feature_set(self.features)
        if not isinstance(self.explicit_hydrogens, bool):
            raise TypeError(f"explicit_hydrogens must be a bool, got {self.explicit_hydrogens!r}")


class TooManyRings(MoleculeError):
    """A molecule with more rings than the settings admit."""

    def __init__(self, settings: LiftSettings) -> None:
        super().__init__(
            f"more than {settings.max_rings} rings of up to {settings.max_ring_size} atoms: "
            'lower max_ring_size, or take rings="smallest"'
        )
