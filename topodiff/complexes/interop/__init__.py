"""Complexes from and to the types of other packages, each imported when it is first used."""

from topodiff.complexes.interop.gudhi import from_gudhi, to_gudhi
from topodiff.complexes.interop.networkx import from_networkx, to_networkx
from topodiff.complexes.interop.pyg import from_pyg, to_pyg
from topodiff.complexes.interop.scipy import from_scipy
from topodiff.complexes.interop.toponetx import from_toponetx, to_toponetx

__all__ = [
    "from_gudhi",
    "from_networkx",
    "from_pyg",
    "from_scipy",
    "from_toponetx",
    "to_gudhi",
    "to_networkx",
    "to_pyg",
    "to_toponetx",
]
