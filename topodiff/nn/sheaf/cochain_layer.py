"""One step of sheaf diffusion on cells of all ranks at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex, keep
from topodiff.kernels.activations import ACTIVATIONS, activate
from topodiff.kernels.checks import check_choice
from topodiff.nn.hodge import ODD
from topodiff.nn.reset import reset_children
from topodiff.nn.sheaf.families import MAPS, MapFamily
from topodiff.nn.vertex_model import check_arguments, check_not_negative
from topodiff.sheaves import CellularSheaf
from topodiff.sheaves.maps import Maps, multiply


class SheafCochainLayer(nn.Module):
    """One step of diffusion of cochains x_r, r = 0..R, along a sheaf learnt from them:

        F_{f<c}   = family(tanh(U_r x_f + V_r x_c))             for a face f of an r-cell c
        (d x)_c   = sum over faces f of c of s_fc F_{f<c} x_f / sqrt((1 + |f|) (1 + |c|))
        x_r       <- x_r - act(W_r (d* d + d d*) x_r + W'_r (d x_{r-1} + d* x_{r+1}))

    with |f| cofaces of f and |c| faces of c, so that d has norm at most 1 for orthogonal maps. The
    first term is the Laplacian of the sheaf on each rank, the second its Dirac operator.

    Maps that are free on every rank do not commute, and :meth:`sheaf` is there to measure by how
    much. Those of a ``"bundle"`` do: ``F_{v<e} = family(tanh(U_1 x_v))`` is one rotation for each
    vertex, and all maps above are identities (:meth:`CellularSheaf.from_frames`).

    Args:
        channels: width of the cochains, which are (n_r, stalk_dim, channels / stalk_dim) inside.
        stalk_dim: must divide ``channels``.
        max_rank: parameters exist for the ranks 0..max_rank.
        maps, parametrization: as for :class:`topodiff.nn.NeuralSheafDiffusion`.
        oriented: cochains of rank >= 1 change sign with their cell: s_fc is the sign of the
            incidence, maps are learnt from absolute values, no map has a bias, and the activation
            must be odd. Otherwise s_fc = 1.
        activation: one of ``kernels.ACTIVATIONS``.
    """

    def __init__(
        self,
        channels: int,
        stalk_dim: int = 2,
        max_rank: int = 2,
        *,
        maps: str = "orthogonal",
        parametrization: str | None = None,
        oriented: bool = False,
        activation: str = "elu",
    ) -> None:
        super().__init__()
        check_choice("maps", maps, MAPS)
        self.flat = maps == "bundle"
        name = "special_orthogonal" if self.flat else maps
        self.family = MapFamily(name, stalk_dim, parametrization)
        check_arguments(0.0, channels=channels)
        check_not_negative(max_rank=max_rank)
        check_choice("activation", activation, ODD if oriented else ACTIVATIONS)
        if channels % stalk_dim:
            raise ValueError(
                f"stalk_dim must divide the channels, {channels}, got {stalk_dim}: "
                f"use {stalk_dim * -(-channels // stalk_dim)} channels"
            )
        self.channels, self.max_rank = channels, max_rank
        self.oriented, self.activation = oriented, activation
        size = self.family.num_params
        learnt = range(max_rank if size else 0)
        of_faces, of_cells = (learnt[:1], learnt[:0]) if self.flat else (learnt, learnt)
        self.of_faces = nn.ModuleList(nn.Linear(channels, size, False) for _ in of_faces)
        self.of_cells = nn.ModuleList(nn.Linear(channels, size, False) for _ in of_cells)
        bias = not oriented
        ranks = range(max_rank + 1)
        self.laplacian = nn.ModuleList(nn.Linear(channels, channels, bias) for _ in ranks)
        self.dirac = nn.ModuleList(nn.Linear(channels, channels, False) for _ in ranks)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, K: CellComplex, x: Sequence[Tensor]) -> list[Tensor]:
        """Cochains x[r] (n_r, channels), r = 0..R <= max_rank -> the same.

        Raises:
            ValueError: for cochains of too many ranks or of the wrong shape.
        """
        learnt = self._maps(K, x)
        scale = partial(_scale, K, oriented=self.oriented, dtype=x[0].dtype)
        maps = [multiply(scale(r), m) for r, m in learnt.items()]
        states = [t.unflatten(1, (self.family.stalk_dim, -1)) for t in x]

        def along(r: int, state: Tensor, up: bool) -> Tensor:
            """d, from the faces of r-cells ``up`` to these, or d* back."""
            i = K.incidence(r)
            arrays = (i.face, i.cell, i.cell_ptr, i.face_ptr, i.by_face)
            return kernels.sheaf_matmul(state, maps[r - 1], *arrays, transpose=up)

        up = [along(r + 1, states[r], True) for r in range(len(x) - 1)]
        down = [along(r + 1, states[r + 1], False) for r in range(len(x) - 1)]
        out = []
        for r, old in enumerate(x):
            first, second = torch.zeros_like(states[r]), torch.zeros_like(states[r])
            if r:
                first = first + along(r, down[r - 1], True)
                second = second + up[r - 1]
            if r + 1 < len(x):
                first = first + along(r + 1, up[r], False)
                second = second + down[r]
            change = self.laplacian[r](first.flatten(1)) + self.dirac[r](second.flatten(1))
            out.append(old - activate(change, self.activation))
        return out

    def sheaf(self, K: CellComplex, x: Sequence[Tensor]) -> CellularSheaf:
        """The sheaf with the maps F on the ranks of x, without signs and square roots, so that
        ``curvature`` and ``cell_holonomies`` are those of what is learnt; with gradients.

        Args and errors as for a call.
        """
        maps, family = self._maps(K, x), self.family
        return CellularSheaf(K, family.stalk_dim, maps, orthogonal=family.orthogonal)

    def _maps(self, K: CellComplex, x: Sequence[Tensor]) -> dict[int, Maps]:
        """Restriction maps of the faces of r-cells for r = 1..R."""
        self._check(K, x)
        seen = [t.abs() for t in x] if self.oriented else x
        return {r: self._maps_at(K, r, seen[r - 1], seen[r]) for r in range(1, len(x))}

    def _maps_at(self, K: CellComplex, r: int, of_faces: Tensor, of_cells: Tensor) -> Maps:
        if r > len(self.of_faces):
            return None
        i, params = K.incidence(r), self.of_faces[r - 1](of_faces)
        if self.flat:
            frames = self.family(params.tanh())
            assert frames is not None
            return kernels.gather(frames, i.face)
        params = kernels.gather(params, i.face)
        params = params + kernels.gather(self.of_cells[r - 1](of_cells), i.cell)
        return self.family(params.tanh())

    def _check(self, K: CellComplex, x: Sequence[Tensor]) -> None:
        most = min(self.max_rank, K.rank)
        if not 1 <= len(x) <= most + 1:
            raise ValueError(
                f"got cochains of {len(x)} ranks; this layer, of max_rank={self.max_rank}, takes "
                f"those of ranks 0 to at most {most} of a complex of rank {K.rank}"
            )
        for r, cochain in enumerate(x):
            shape = (K.num_cells(r), self.channels)
            if cochain.shape != shape:
                raise ValueError(
                    f"x[{r}] must have shape {shape}, a row for each {r}-cell and a column for "
                    f"each channel, got {tuple(cochain.shape)}"
                )

    def extra_repr(self) -> str:
        maps = "bundle, " if self.flat else ""
        return (
            f"{self.channels}, {maps}{self.family}, max_rank={self.max_rank}, "
            f"oriented={self.oriented}, activation={self.activation!r}"
        )


def _scale(K: CellComplex, r: int, oriented: bool, dtype: torch.dtype) -> Tensor:
    """(nnz,) ``s_fc / sqrt((1 + |f|) (1 + |c|))``."""

    def make() -> Tensor:
        i = K.incidence(r)
        faces, cells = (ptr.diff().to(torch.float64) + 1 for ptr in (i.face_ptr, i.cell_ptr))
        scale = (faces[i.face] * cells[i.cell]).rsqrt()
        return (scale * i.sign if oriented else scale).to(dtype)

    return keep(K, ("sheaf scale", oriented, dtype), make, rank=r)
