"""Liftings: from a graph or a point cloud to a cell complex.

A lifting is an object to be called: ``CliqueLifting(max_rank=2)(graph)``, or by name,
``get("clique", max_rank=2)(graph)``. ``Compose`` runs several; ``register`` adds one.
"""

from topodiff.liftings.base import Compose, Lifting, get, names, register
from topodiff.liftings.clique import CliqueLifting
from topodiff.liftings.features import FeatureLifting
from topodiff.liftings.neighborhood import NeighborhoodLifting
from topodiff.liftings.points import AlphaLifting, VietorisRipsLifting
from topodiff.liftings.reorder import ReorderLifting
from topodiff.liftings.ring import RingLifting
from topodiff.liftings.skeleton import SkeletonLifting

__all__ = [
    "AlphaLifting",
    "CliqueLifting",
    "Compose",
    "FeatureLifting",
    "Lifting",
    "NeighborhoodLifting",
    "ReorderLifting",
    "RingLifting",
    "SkeletonLifting",
    "VietorisRipsLifting",
    "get",
    "names",
    "register",
]
