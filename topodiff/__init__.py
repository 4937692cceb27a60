"""Learning on graphs and molecules as physical processes on topological spaces.

Names are imported on first use, so that ``import topodiff`` costs no more than torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from topodiff import (
        complexes,
        datasets,
        diagnostics,
        dynamics,
        geometry,
        kernels,
        liftings,
        molecules,
        nn,
        operators,
        plotting,
        sheaves,
        solvers,
        testing,
        training,
    )
    from topodiff.complexes import CellComplex, batch, unbatch
    from topodiff.complexes.interop import (
        from_gudhi,
        from_networkx,
        from_pyg,
        from_scipy,
        from_toponetx,
        to_gudhi,
        to_networkx,
        to_pyg,
        to_toponetx,
    )
    from topodiff.molecules import from_mol, from_smiles, read_table
    from topodiff.sheaves import CellularSheaf
    from topodiff.solvers import Solution, diffuse

__version__ = "0.1.0"

_SUBPACKAGES = (
    "complexes", "datasets", "diagnostics", "dynamics", "geometry", "kernels", "liftings",
    "molecules", "nn", "operators", "plotting", "sheaves", "solvers", "testing", "training",
)  # fmt: skip
_HOME = {
    **dict.fromkeys(("CellComplex", "batch", "unbatch"), "topodiff.complexes"),
    **dict.fromkeys(
        (
            "from_gudhi", "from_networkx", "from_pyg", "from_scipy", "from_toponetx",
            "to_gudhi", "to_networkx", "to_pyg", "to_toponetx",
        ),
        "topodiff.complexes.interop",
    ),
    **dict.fromkeys(("from_mol", "from_smiles", "read_table"), "topodiff.molecules"),
    "CellularSheaf": "topodiff.sheaves",
    **dict.fromkeys(("Solution", "diffuse"), "topodiff.solvers"),
}  # fmt: skip

__all__ = [
    "CellComplex",
    "CellularSheaf",
    "Solution",
    "batch",
    "complexes",
    "datasets",
    "diagnostics",
    "diffuse",
    "dynamics",
    "from_gudhi",
    "from_mol",
    "from_networkx",
    "from_pyg",
    "from_scipy",
    "from_smiles",
    "from_toponetx",
    "geometry",
    "kernels",
    "liftings",
    "molecules",
    "nn",
    "operators",
    "plotting",
    "read_table",
    "sheaves",
    "solvers",
    "testing",
    "to_gudhi",
    "to_networkx",
    "to_pyg",
    "to_toponetx",
    "training",
    "unbatch",
]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return import_module(f"topodiff.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'topodiff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
