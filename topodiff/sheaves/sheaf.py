"""Cellular sheaves: a vector space on every cell and a linear map on every incidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_number
from topodiff.sheaves import curvature, gauge, sections, separation, transport
from topodiff.sheaves.maps import Maps, check_finite, check_maps, inverse, to_matrices

if TYPE_CHECKING:
    import scipy.sparse as sp


class CellularSheaf:
    """A cellular sheaf on a complex: the stalk R^d on each cell and, for every face f of a cell c,
    a restriction map ``F_{f<c}`` from the stalk of the face to that of the cell.

    The coboundary ``(delta x)_c = sum over faces f of c of sign(f, c) F_{f<c} x_f`` makes it a
    cochain complex if maps commute (``delta delta = 0``); see :meth:`curvature`. On a graph every
    choice does (Hansen and Ghrist, Toward a spectral theory of cellular sheaves, 2019).

    Args:
        complex: cells and incidences.
        stalk_dim: d >= 1, the dimension of every stalk.
        maps: on the incidences of rank r - 1 and r, in the order of ``boundary_index(r)``: (nnz,
            d, d), or (nnz, d) for diagonal maps, (nnz,) for scalars, None for identities. A
            mapping rank -> maps for r = 1, 2, ..., or a tensor for rank 1 alone, or None for
            identities everywhere.
        weights: inner products on the cochains, rank -> (n_r,) positive; a tensor for rank 1 alone.
        orthogonal: promise that all maps are orthogonal, which saves work; ``validate()`` checks
        it.

    Raises:
        TypeError, ValueError: for wrong dtypes, shapes, devices, numbers that are not finite, or
            ``stalk_dim`` < 1.
    """

    def __init__(
        self,
        complex: CellComplex,
        stalk_dim: int,
        maps: Mapping[int, Maps] | Tensor | None = None,
        *,
        weights: Mapping[int, Tensor] | Tensor | None = None,
        orthogonal: bool = False,
    ) -> None:
        if not isinstance(complex, CellComplex):
            raise TypeError(f"complex must be a CellComplex, got {type(complex).__name__}")
        self.stalk_dim = whole_number("stalk_dim", stalk_dim, 1)
        self.complex = complex
        self.orthogonal = orthogonal or maps is None
        if maps is None:
            maps = dict.fromkeys(range(1, complex.rank + 1))
        self.maps: dict[int, Maps] = dict(maps) if isinstance(maps, Mapping) else {1: maps}
        if weights is not None and not isinstance(weights, Mapping):
            weights = {1: weights}
        self.weights: dict[int, Tensor] = dict(weights or {})
        self._check()

    def _check(self) -> None:
        ranks = range(1, self.complex.rank + 1)
        for r, maps in self.maps.items():
            if r not in ranks:
                raise ValueError(f"maps[{r!r}] given, but the complex has rank {self.complex.rank}")
            incidence = self.complex.incidence(r)
            device = incidence.face.device
            check_maps(f"maps[{r}]", maps, "incidences", incidence.nnz, self.stalk_dim, device)
        check_weights(self.complex, self.weights)
        dtypes = {t.dtype for t in self._numbers()}
        if len(dtypes) > 1:
            raise TypeError(f"maps and weights must share one dtype, got {dtypes}: use .to(dtype)")

    def _numbers(self) -> list[Tensor]:
        return [t for t in (*self.maps.values(), *self.weights.values()) if t is not None]

    # -- construction ----------------------------------------------------------------------------

    @classmethod
    def from_frames(
        cls,
        complex: CellComplex,
        frames: Tensor,
        *,
        weights: Mapping[int, Tensor] | Tensor | None = None,
        orthogonal: bool = False,
    ) -> CellularSheaf:
        """Flat bundle: vertex v sees the one global space R^d through its frame, ``F_{v<e} = O_v``.

        Cells of rank >= 1 carry the global frame, so maps commute exactly on every rank, and the
        transport from u to v is ``O_v^-1 O_u``, whatever the path.

        Args:
            frames: (n_0, d, d), or (n_0, d), of invertible maps.
            weights: as for the class.
            orthogonal: promise that they are orthogonal.

        Raises:
            TypeError, ValueError: as the class, and for a singular frame.
        """
        if not isinstance(frames, Tensor) or frames.dim() not in (2, 3):
            raise ValueError("frames must be a tensor of shape (n_0, d, d) or (n_0, d)")
        place = ("vertices", complex.shape[0], frames.shape[-1], complex.device)
        check_maps("frames", frames, *place, scalars=False)
        inverse(frames, orthogonal, "frame")
        maps: dict[int, Maps] = dict.fromkeys(range(2, complex.rank + 1))
        if complex.rank >= 1:
            maps[1] = frames.index_select(0, complex.incidence(1).face)
        return cls(complex, frames.shape[-1], maps, weights=weights, orthogonal=orthogonal)

    @classmethod
    def from_transport(
        cls,
        complex: CellComplex,
        transports: Tensor,
        *,
        weights: Mapping[int, Tensor] | Tensor | None = None,
        orthogonal: bool = False,
    ) -> CellularSheaf:
        """Sheaf on the graph with the given maps from tail to head: ``F_tail = T_e, F_head = I``.

        Args:
            transports: (n_1, d, d), or (n_1, d).
            weights: as for the class.
            orthogonal: promise that they are orthogonal: a connection, or O(d)-bundle.
        """
        if not isinstance(transports, Tensor) or transports.dim() not in (2, 3):
            raise ValueError("transports must be a tensor of shape (n_1, d, d) or (n_1, d)")
        stalk_dim = transports.shape[-1]
        place = ("edges", complex.num_cells(1), stalk_dim, complex.device)
        check_maps("transports", transports, *place, scalars=False)
        one = torch.ones(stalk_dim) if transports.dim() == 2 else torch.eye(stalk_dim)
        head = one.to(transports).expand_as(transports)
        maps = torch.stack([transports, head], 1).flatten(0, 1)
        return cls(complex, stalk_dim, maps, weights=weights, orthogonal=orthogonal)

    # -- what it holds ---------------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype | None:
        """Of maps and weights; None if there are none, so that any dtype of a cochain will do."""
        return next((t.dtype for t in self._numbers()), None)

    @property
    def device(self) -> torch.device:
        """Of the complex and all maps."""
        return self.complex.device

    def restriction_maps(self, rank: int) -> Maps:
        """The maps of rank - 1 -> rank, in the form in which they were given."""
        if rank not in self.maps:
            raise ValueError(
                f"the sheaf has no maps of rank {rank} (of an incidence with a {rank}-cell), only "
                f"of {sorted(self.maps)}: pass maps={{1: ..., {rank}: ...}}, None for identities"
            )
        return self.maps[rank]

    def restriction_matrices(self, rank: int) -> Tensor:
        """The maps of rank - 1 -> rank as (nnz, d, d)."""
        like = torch.zeros(0, dtype=self.dtype, device=self.device)
        nnz = self.complex.incidence(rank).nnz
        return to_matrices(self.restriction_maps(rank), nnz, self.stalk_dim, like)

    def validate(self) -> CellularSheaf:
        """ValueError names the first map that is not finite now, or not orthogonal as was
        promised."""
        for r in self.maps:
            matrices = self.restriction_matrices(r).detach()
            check_finite(f"maps[{r}]", matrices)
            if self.orthogonal:
                square = matrices.mT @ matrices
                error = (square - torch.eye(self.stalk_dim).to(square)).flatten(1).norm(dim=1)
                bad = error > 1e3 * torch.finfo(square.dtype).eps
                if bool(bad.any()):
                    raise ValueError(f"maps[{r}][{int(bad.nonzero()[0])}] is not orthogonal")
        return self

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> CellularSheaf:
        """Move to a device and/or change the dtype of maps, weights and data."""

        def move(tensors: Mapping[int, Maps]) -> dict:
            return {r: None if t is None else t.to(device, dtype) for r, t in tensors.items()}

        return CellularSheaf(
            self.complex.to(device, dtype), self.stalk_dim, move(self.maps),
            weights=move(self.weights), orthogonal=self.orthogonal,
        )  # fmt: skip

    def __repr__(self) -> str:
        names = ("identity", "scalar", "diagonal", "matrix")
        kinds = {r: names[0 if m is None else m.dim()] for r, m in sorted(self.maps.items())}
        return f"CellularSheaf({self.complex!r}, stalk_dim={self.stalk_dim}, maps={kinds})"

    # -- geometry --------------------------------------------------------------------------------

    def gauge_transform(
        self, gauges: Mapping[int, Tensor] | Tensor, *, orthogonal: bool = False
    ) -> CellularSheaf:
        """Change of basis in the stalks; see :func:`topodiff.sheaves.gauge.gauge_transform`."""
        return gauge.gauge_transform(self, gauges, orthogonal=orthogonal)

    def edge_transports(self) -> Tensor:
        """(n_1, d, d) ``F_head^-1 F_tail``, from the stalk of the tail to that of the head."""
        return transport.edge_transports(self)

    def transport(self, path: Sequence[int]) -> Tensor:
        """(d, d) from the stalk of the first vertex to that of the last, along the edges
        between."""
        return transport.path_transport(self, path)

    def holonomy(self, cycle: Sequence[int]) -> Tensor:
        """(d, d) transport once around a cycle of vertices, back to the first of them."""
        return transport.path_transport(self, [*cycle, *cycle[:1]])

    def cell_holonomies(self) -> Tensor:
        """(n_2, d, d) transport around each 2-cell, from and to its first vertex."""
        return transport.cell_holonomies(self)

    def curvature(self, rank: int = 2) -> curvature.Curvature:
        """How far maps of rank - 2 -> rank fail to commute; see
        :mod:`topodiff.sheaves.curvature`."""
        return curvature.curvature(self, rank)

    def coboundary_matrix(self, rank: int) -> sp.csr_matrix:
        """``delta`` of rank -> rank + 1, (n_{rank+1} d x n_rank d), stalk index fastest, no
        weights, in double precision."""
        return sections.coboundary_matrix(self, rank)

    def global_sections(self, tol: float | None = None) -> Tensor:
        """(n_0, d, k) orthonormal basis of ``H^0 = ker delta_0``; see :mod:`.sections`."""
        return sections.global_sections(self, tol)

    def separates(self, labels: separation.Labels, trials: int = 3, seed: int = 0) -> bool:
        """Whether diffusion separates the classes in the limit; see :mod:`.separation`."""
        return separation.separates(self, labels, trials, seed)


def check_weights(complex: CellComplex, weights: Mapping[int, Tensor]) -> None:
    """TypeError or ValueError unless weights are positive and finite, one for each cell of a
    rank."""
    if not isinstance(weights, Mapping):
        raise TypeError(f"weights must map ranks to tensors, got {type(weights).__name__}")
    for r, w in weights.items():
        whole_number("the rank of weights", r, 0, complex.rank)
        if not isinstance(w, Tensor) or not w.is_floating_point():
            given = w.dtype if isinstance(w, Tensor) else type(w).__name__
            raise TypeError(f"weights[{r}] must be a floating-point tensor, got {given}")
        if w.shape != (complex.num_cells(r),):
            raise ValueError(
                f"weights[{r}] must have shape ({complex.num_cells(r)},), one for each {r}-cell; "
                f"got {tuple(w.shape)}"
            )
        if w.device != complex.device:
            raise ValueError(f"weights[{r}] is on {w.device}, the complex on {complex.device}")
        good = (w > 0) & (w < torch.inf)
        if not bool(good.all()):
            k = int((~good).nonzero()[0])
            raise ValueError(
                f"weights[{r}][{k}] is {float(w[k])}; weights must be positive and finite"
            )
    dtypes = {w.dtype for w in weights.values()}
    if len(dtypes) > 1:
        raise TypeError(f"weights must share one dtype, got {dtypes}: convert with .to(dtype)")
