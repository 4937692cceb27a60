"""Diffusion of cochains along Hodge Laplacians: flows on edges, fluxes through 2-cells."""

from __future__ import annotations

from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.kernels.activations import activate
from topodiff.kernels.checks import check_choice
from topodiff.nn.dropout import Dropout
from topodiff.nn.features import cell_features, check_complex, check_finite
from topodiff.nn.reset import reset_children
from topodiff.nn.vertex_model import check_arguments, check_not_negative
from topodiff.operators import HodgeLaplacian, LinearOperator

PARTS = ("down", "up")
ODD = ("tanh", "identity")


class HodgeDiffusion(nn.Module):
    """Diffusion of r-cochains with a part for each half of the Hodge Laplacian:

        x <- x - act(L_down x W_1 + L_up x W_2)

    with those of random walks, whose spectra lie in [0, 1] and whose product is zero (Schaub et
    al., SIAM Review 2020): L_down sees gradients alone, L_up curls alone, neither harmonic flows.
    No map has a bias and the activation is odd, so the result changes sign with the orientation of
    its cell, and with that of no other. The weights of a complex are not seen.

    Args:
        in_channels: of the cochains, which change sign with the orientation of their cell.
        hidden_channels, out_channels: widths of the layers and of the result.
        num_layers: number of steps.
        rank: of the cells, 1 for flows on edges.
        parts: ``("down", "up")`` or one of them.
        activation: ``"tanh"`` or ``"identity"``.
        dropout: probability, before every layer.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 4,
        *,
        rank: int = 1,
        parts: tuple[str, ...] = PARTS,
        activation: str = "tanh",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_arguments(
            dropout,
            in_channels=in_channels,
            hidden_channels=hidden_channels,
            out_channels=out_channels,
        )
        check_not_negative(num_layers=num_layers, rank=rank)
        check_choice("activation", activation, ODD)
        if not parts or not set(parts) <= set(PARTS):
            raise ValueError(f"parts must be one or both of {PARTS}, got {parts!r}")
        self.in_channels, self.rank, self.activation = in_channels, rank, activation
        self.parts = tuple(p for p in PARTS if p in parts)
        self.input = nn.Linear(in_channels, hidden_channels, bias=False)
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.Linear(hidden_channels, hidden_channels, False) for _ in self.parts)
            for _ in range(num_layers)
        )
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(hidden_channels, out_channels, bias=False)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Cochains x (n_rank, in_channels), by default ``complex.x[rank]`` -> (n_rank,
        out_channels)."""
        h = self.input(cochain_features(complex, x, self.rank, self.input.weight))
        halves = self._halves(complex)
        for maps in self.layers:
            dropped = self.dropout(h)
            change = [
                linear(halves[p] @ dropped)
                for p, linear in zip(self.parts, maps.children(), strict=True)
            ]
            h = h - activate(sum(change[1:], change[0]), self.activation)
        return self.output(h)

    def _halves(self, complex: CellComplex) -> dict[str, LinearOperator]:
        laplacian = HodgeLaplacian(complex, self.rank, normalized="random_walk")
        return {"down": laplacian.down, "up": laplacian.up}

    def extra_repr(self) -> str:
        return f"rank={self.rank}, parts={self.parts}, activation={self.activation!r}"


def cochain_features(K: CellComplex, x: Tensor | None, rank: int, weight: Tensor) -> Tensor:
    """``x``, or ``K.x[rank]`` in its place, (n_rank, in_channels) and finite, for a linear map with
    ``weight`` (hidden_channels, in_channels).

    Raises:
        TypeError, ValueError: see :func:`topodiff.nn.features.cell_features`; cochains that are not
            finite, or a complex without such cells.
    """
    check_complex(K)
    if K.rank < rank:
        raise ValueError(
            f"the model is for {rank}-cells, of which a complex of rank {K.rank} has none"
        )
    x = cell_features(K, x, rank, weight.shape[1], weight)
    check_finite(x)
    return x
