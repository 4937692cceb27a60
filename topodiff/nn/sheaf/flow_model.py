"""Sheaf diffusion of flows, whichever way cells are oriented."""

from __future__ import annotations

from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.nn.hodge import cochain_features
from topodiff.nn.reset import reset_children
from topodiff.nn.sheaf.cochain_layer import SheafCochainLayer
from topodiff.nn.vertex_model import check_arguments, check_not_negative


class FlowSheafDiffusion(nn.Module):
    """Diffusion of r-cochains, r >= 1, along learnt sheaves, whichever way cells are oriented.

    A linear map of the cochains, their boundary and coboundary as first cochains of the ranks
    beside, oriented :class:`SheafCochainLayer`, a linear map.

    Args:
        in_channels: of the cochains, which change sign with the orientation of their cell.
        hidden_channels: width of the layers, a multiple of ``stalk_dim``.
        out_channels: width of the result.
        num_layers: number of layers.
        rank: of the cells, 1 for flows on edges.
        stalk_dim, maps, parametrization, activation: as for :class:`SheafCochainLayer`.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 4,
        *,
        rank: int = 1,
        stalk_dim: int = 2,
        maps: str = "orthogonal",
        parametrization: str | None = None,
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        widths = {"in_channels": in_channels, "hidden_channels": hidden_channels}
        check_arguments(0.0, **widths, out_channels=out_channels, rank=rank)
        check_not_negative(num_layers=num_layers)
        self.in_channels, self.rank = in_channels, rank
        self.input = nn.Linear(in_channels, hidden_channels, bias=False)
        self.layers = nn.ModuleList(
            SheafCochainLayer(
                hidden_channels, stalk_dim, rank + 1, maps=maps,
                parametrization=parametrization, oriented=True, activation=activation,
            )
            for _ in range(num_layers)
        )  # fmt: skip
        self.output = nn.Linear(hidden_channels, out_channels, bias=False)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Cochains x (n_rank, in_channels), by default ``complex.x[rank]`` -> (n_rank,
        out_channels), which change sign with the orientation of their cell."""
        h = self.input(cochain_features(complex, x, self.rank, self.input.weight))
        states = _derivatives(complex, self.rank, h)
        for layer in self.layers:
            states = layer(complex, states)
        return self.output(states[self.rank])

    def extra_repr(self) -> str:
        return f"rank={self.rank}"


def _derivatives(K: CellComplex, rank: int, h: Tensor) -> list[Tensor]:
    """The cochain h with its boundary below and its coboundary above; zero further below."""
    states = [h.new_zeros(K.num_cells(r), h.shape[1]) for r in range(rank - 1)]
    states += [_signed(K, rank, h, transpose=False), h]
    if K.rank > rank:
        states.append(_signed(K, rank + 1, h, transpose=True))
    return states


def _signed(K: CellComplex, r: int, x: Tensor, transpose: bool) -> Tensor:
    i = K.incidence(r)
    arrays = (i.face, i.cell, i.sign, i.cell_ptr, i.face_ptr, i.by_face)
    return kernels.incidence_matmul(x, *arrays, transpose=transpose)
