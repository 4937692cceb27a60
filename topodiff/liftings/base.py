"""What a lifting is: a small object that turns a graph into a complex; composition and registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from topodiff.complexes import CellComplex, batch
from topodiff.complexes.build import edge_boundary
from topodiff.complexes.incidence import count_to_ptr
from topodiff.complexes.interop.graph import Graph, from_graph

MAX_RANK = 1000  # a simplex of rank 63 has more faces than 64 bits can count


class Lifting(ABC):
    """Maps a graph to a cell complex: ``lifting(graph) -> CellComplex``.

    The graph is a :class:`CellComplex` (its vertices and edges; cells of higher rank are replaced),
    a networkx graph (see :func:`topodiff.from_networkx`), or a (2, m) integer ``edge_index`` on the
    vertices 0..max (for isolated vertices beyond give ``CellComplex.from_edges(num_vertices,
    edge_index)``). Data on vertices and edges, positions and y stay. A batched complex is lifted
    complex by complex.

    A new lifting implements :meth:`lift` and may have a name::

        @td.liftings.register("cone")
        class ConeLifting(td.liftings.Lifting):
            def lift(self, complex: CellComplex) -> CellComplex:
                ...
    """

    lifts_unions = False  # whether lift() takes batched complexes in one go

    def __call__(self, graph: Graph) -> CellComplex:
        complex = self.read(graph)
        device = complex.device
        if device.type != "cpu":
            return self(complex.to("cpu")).to(device)
        if complex.num_complexes == 1 or self.lifts_unions:
            return self.lift(complex)
        return batch([self.lift(part) for part in complex]) if len(complex) else complex

    def read(self, graph: Graph) -> CellComplex:
        """The input as a complex; TypeError or ValueError where it is not a graph."""
        return from_graph(graph, type(self).__name__)

    @abstractmethod
    def lift(self, complex: CellComplex) -> CellComplex:
        """The lifted complex of one complex on the CPU."""

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({options})"


class Compose(Lifting):
    """Liftings one after another: ``Compose(f, g)(graph) = g(f(graph))``."""

    lifts_unions = True

    def __init__(self, *liftings: Lifting) -> None:
        if not liftings:
            raise ValueError("Compose needs at least one lifting")
        for lifting in liftings:
            if not isinstance(lifting, Lifting):
                raise TypeError(f"Compose takes liftings, got {type(lifting).__name__}")
        self.liftings = liftings

    def read(self, graph: Any) -> CellComplex:
        return self.liftings[0].read(graph)

    def lift(self, complex: CellComplex) -> CellComplex:
        for lifting in self.liftings:
            complex = lifting(complex)
        return complex


_registry: dict[str, type[Lifting]] = {}


def register(name: str) -> Callable[[type[Lifting]], type[Lifting]]:
    """Class decorator that makes a lifting known to :func:`get` under ``name``."""

    def add(lifting: type[Lifting]) -> type[Lifting]:
        if name in _registry:
            raise ValueError(f"a lifting named {name!r} exists already: {_registry[name].__name__}")
        _registry[name] = lifting
        return lifting

    return add


def get(name: str, **options: Any) -> Lifting:
    """The lifting registered under ``name``, built with ``options``.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in _registry:
        raise ValueError(f"unknown lifting {name!r}: expected one of {', '.join(names())}")
    return _registry[name](**options)


def names() -> tuple[str, ...]:
    """Names of the registered liftings."""
    return tuple(sorted(_registry))


def graph_of(complex: CellComplex) -> CellComplex:
    """Vertices and edges of a complex with their data; of rank 1 also where there are no edges."""
    if complex.rank > 0:
        return complex.skeleton(1)
    return attach(complex, [edge_boundary(torch.zeros(2, 0, dtype=torch.long))])


def edge_rows(graph: CellComplex) -> np.ndarray:
    """(m, 2) canonical edges of a complex of rank >= 1, sharing memory with its boundary."""
    return graph.boundary_index(1)[0].reshape(-1, 2).numpy()


def attach(base: CellComplex, boundaries: Iterable[tuple[Tensor, Tensor]]) -> CellComplex:
    """``base`` with cells of higher rank: canonical (index, sign) from rank ``base.rank + 1`` on.

    In a union every cell belongs to the complex of its faces, and cells are sorted by complex.
    """
    shape, ptr = list(base.shape), list(base.ptr)
    topology = [(base.boundary_index(r), base.boundary_sign(r)) for r in range(1, base.rank + 1)]
    member = base.membership(base.rank)
    for index, sign in boundaries:
        topology.append((index, sign))
        shape.append(int(index[1, -1]) + 1 if sign.numel() else 0)
        if base.num_complexes != 1:
            first = torch.ones_like(sign, dtype=torch.bool)
            first[1:] = index[1].diff() > 0
            member = member[index[0, first]]
            ptr.append(count_to_ptr(member, base.num_complexes))
    data = {name: getattr(base, name) for name in ("x", "weights", "labels", "positions", "y")}
    return CellComplex(shape, topology, ptr=ptr if base.num_complexes != 1 else None, **data)


def to_tensors(boundary: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, Tensor]:
    """A boundary from the enumeration, without a copy."""
    index, sign = boundary
    return torch.from_numpy(index), torch.from_numpy(sign)
