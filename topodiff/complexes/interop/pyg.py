"""``Data`` and ``Batch`` of PyTorch Geometric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from topodiff.complexes.build import canonical_edges, edge_boundary
from topodiff.complexes.complex import CellComplex
from topodiff.complexes.incidence import count_to_ptr
from topodiff.complexes.interop.optional import optional_import
from topodiff.kernels.checks import check_choice

if TYPE_CHECKING:
    from torch_geometric.data import Data


def from_pyg(data: Data, *, conflicts: str = "error", self_loops: str = "error") -> CellComplex:
    """A graph as a complex of rank 1; a ``Batch`` as the union of its graphs.

    ``x`` becomes ``x[0]``, ``edge_attr`` ``x[1]``, ``edge_weight`` ``weights[1]``, ``pos``
    ``positions``. ``y`` with one row per graph (or of no dimension) stays ``y``, with one row per
    vertex it becomes ``labels[0]``. Other attributes are not carried over. Operators and models use
    ``weights[1]`` only where they are given it: ``GraphLaplacian(K, weights=K.weights[1])``.

    Args:
        data: edges in one or both directions, in any order, repeated or not.
        conflicts: edges have one value where ``edge_index`` has two directions. Where these (or
            repetitions) differ: ``"error"``, or ``"mean"`` to take their mean. The gradient is
            that of the mean in any case.
        self_loops: ``"error"`` or ``"drop"``.

    Raises:
        ImportError: if PyTorch Geometric is not installed.
        TypeError: for anything but ``Data`` or a ``Batch`` of them.
        ValueError: for an unknown number of vertices, a self-loop or conflicting values (unless
            allowed above), or a ``y`` with neither one row per graph nor one per vertex.
    """
    pyg = optional_import("torch_geometric.data", "pyg")
    if not isinstance(data, pyg.Data):
        raise TypeError(f"from_pyg() takes Data or Batch, got {type(data).__name__}")
    check_choice("conflicts", conflicts, ("error", "mean"))
    if data.num_nodes is None:
        raise ValueError("data has no vertices that could be counted; set data.num_nodes")
    given = torch.zeros(2, 0).long() if data.edge_index is None else data.edge_index
    edges, place = canonical_edges(data.num_nodes, given, self_loops)
    batched = isinstance(data, pyg.Batch)
    num_graphs = data.num_graphs if batched else 1
    y, labels = _split_targets(data.y, num_graphs, data.num_nodes)
    x = {0: data.x, 1: _reduce("edge_attr", data.edge_attr, edges, place, conflicts)}
    weights = {1: _reduce("edge_weight", data.edge_weight, edges, place, conflicts)}
    ptr = None
    if batched:
        ptr = (data.ptr, count_to_ptr(data.batch[edges[0]], num_graphs))
    return CellComplex(
        (data.num_nodes, edges.shape[1]),
        [edge_boundary(edges)],
        ptr=ptr,
        x={r: t for r, t in x.items() if t is not None},
        weights={r: t for r, t in weights.items() if t is not None},
        labels=labels,
        positions=data.pos,
        y=y,
    )


def _split_targets(
    y: Any, num_graphs: int, num_nodes: int
) -> tuple[Tensor | None, dict[int, Tensor]]:
    if y is None:
        return None, {}
    y = torch.atleast_1d(torch.as_tensor(y))  # Data holds numbers as well
    if y.shape[0] == num_graphs:
        return y, {}
    if y.shape[0] == num_nodes:
        return None, {0: y}
    raise ValueError(
        f"y has shape {tuple(y.shape)}; its first dimension must be {num_graphs} (the graphs; "
        f"several targets of one graph have shape (1, T)) or {num_nodes} (the vertices)"
    )


def _reduce(
    name: str, values: Tensor | None, edges: Tensor, place: Tensor, conflicts: str
) -> Tensor | None:
    """One row per undirected edge from one row per given pair; ``place[k]`` is the edge of k."""
    if values is None:
        return None
    if values.shape[:1] != place.shape:
        raise ValueError(f"{name} has shape {tuple(values.shape)} for {place.numel()} edges")
    values, place = values[place >= 0], place[place >= 0]
    one = place.new_empty(edges.shape[1])
    one[place] = torch.arange(place.numel(), device=place.device)
    count = torch.bincount(place, minlength=edges.shape[1])
    count = count.reshape(-1, *[1] * (values.dim() - 1))
    out = _OneOfEach.apply(values, one, place, count)
    kept = out[place]
    same = (kept == values) | ((kept != kept) & (values != values))  # NaN equals NaN
    bad = (~same).unsqueeze(-1).flatten(1).any(1)
    if not bool(bad.any()):
        return out
    if conflicts == "error":
        u, v = edges[:, place[bad][0]].tolist()
        raise ValueError(
            f"{name} of edge ({u}, {v}) differs between its directions or repetitions; "
            'conflicts="mean" takes the mean'
        )
    values = values if values.is_floating_point() else values.to(torch.get_default_dtype())
    mean = values.new_zeros(out.shape).index_add_(0, place, values) / count
    differs = torch.zeros_like(count, dtype=torch.bool)
    differs[place[bad]] = True
    return torch.where(differs, mean, out.to(mean.dtype))


class _OneOfEach(torch.autograd.Function):
    """``values[one]``, exactly, where all rows of the same ``place`` are equal; its gradient is
    that of their mean, so that rows which are equal stay so in training."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, one: Tensor, place: Tensor, count: Tensor) -> Tensor:
        ctx.save_for_backward(place, count)
        return values[one]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        place, count = ctx.saved_tensors
        return (gradient / count)[place], None, None, None


def to_pyg(complex: CellComplex) -> Data:
    """The vertices and edges of a complex as ``Data``, of a union of complexes as ``Batch``.

    Undoes :func:`from_pyg`: ``edge_index`` holds both directions, sorted, and edge data is
    repeated for both. Cells of rank 2 and above have no place in ``Data``. ``labels[0]`` becomes
    ``y`` where the complex has no ``y`` of its own.

    Raises:
        ImportError: if PyTorch Geometric is not installed.
        ValueError: for a union of no complexes.
    """
    pyg = optional_import("torch_geometric.data", "pyg")
    if complex._ptr is not None:
        if not len(complex):
            raise ValueError("a union of no complexes has no Batch")
        # parts with all ranks of the union: a Batch wants the same fields of all
        return pyg.Batch.from_data_list(
            [_to_data(complex.select([i])) for i in range(len(complex))]
        )
    return _to_data(complex)


def _to_data(complex: CellComplex) -> Data:
    pyg = optional_import("torch_geometric.data", "pyg")
    edges = complex.edge_index
    both = torch.cat([edges, edges.flip(0)], 1)
    order = torch.argsort(both[0] * max(complex.num_cells(0), 1) + both[1])

    def doubled(values: Tensor | None) -> Tensor | None:
        return None if values is None else torch.cat([values, values])[order]

    return pyg.Data(
        x=complex.x.get(0),
        edge_index=both[:, order],
        edge_attr=doubled(complex.x.get(1)),
        edge_weight=doubled(complex.weights.get(1)),
        y=complex.labels.get(0) if complex.y is None else complex.y,
        pos=complex.positions,
        num_nodes=complex.num_cells(0),
    )
