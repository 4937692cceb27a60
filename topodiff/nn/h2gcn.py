"""H2GCN (Zhu et al., Beyond Homophily in Graph Neural Networks, NeurIPS 2020)."""

from __future__ import annotations

import scipy.sparse as sp
import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex, keep
from topodiff.dynamics import Entries, EntryOperator, adjacency, normalize
from topodiff.nn.reset import reset_children
from topodiff.nn.vertex_model import FeatureDropout, FeatureMap, check_arguments, vertex_features


class H2GCN(nn.Module):
    """``r_0 = relu(W_e x)``, ``r_k = [A_1 r_{k-1}; A_2 r_{k-1}]``, ``out = W_c dropout([r_0; ...;
    r_K])``, with A_1 the adjacency matrix, A_2 that of vertices at distance two, both as
    ``D^{-1/2} A D^{-1/2}`` without loops (section 3.1 and appendix).

    r_k is ``2^k hidden_channels`` wide. A_2 has as many entries as there are pairs at distance two.

    Args:
        in_channels, hidden_channels, out_channels: widths of x, r_0 and the result.
        num_layers: K, the number of rounds.
        dropout: before W_c.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_arguments(
            dropout,
            in_channels=in_channels,
            hidden_channels=hidden_channels,
            out_channels=out_channels,
            num_layers=num_layers,
        )
        self.in_channels, self.num_layers = in_channels, num_layers
        self.embed = FeatureMap(in_channels, hidden_channels, bias=False)
        self.dropout = FeatureDropout(dropout)
        width = hidden_channels * (2 ** (num_layers + 1) - 1)
        self.classify = nn.Linear(width, out_channels, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Complexes and features (n_0, in_channels), by default ``complex.x[0]`` ->
        (n_0, out_channels)."""
        features = vertex_features(complex, x, self.in_channels, self.embed.weight)
        rounds = [self.embed(features).relu()]
        dtype = rounds[0].dtype
        matrices = adjacency(complex, dtype, loops=0), two_hop(complex, dtype)
        for _ in range(self.num_layers):
            rounds.append(torch.cat([matrix @ rounds[-1] for matrix in matrices], 1))
        return self.classify(self.dropout(torch.cat(rounds, 1)))

    def extra_repr(self) -> str:
        return f"num_layers={self.num_layers}"


def two_hop(K: CellComplex, dtype: torch.dtype) -> EntryOperator:
    """Normalised adjacency matrix of vertices at distance exactly two."""

    def make() -> EntryOperator:
        entries = _two_hop(K)
        weight = torch.ones(entries.nnz, dtype=torch.float64, device=K.device)
        weight = normalize(entries, weight, "sym").to(dtype)
        return EntryOperator(entries, weight, symmetric=True)

    return keep(K, ("two hops", dtype), make)


def _two_hop(K: CellComplex) -> Entries:
    A = adjacency(K, torch.float32, loops=0).to_scipy()
    near = A + sp.identity(len(A.indptr) - 1, dtype=A.dtype, format="csr")
    # pairs joined by a path of two edges, less those that are near: A^2 > 0 and A + I = 0
    far = (A @ A).astype(bool) > near.astype(bool)
    far.sort_indices()
    index, ptr = (torch.from_numpy(t).long().to(K.device) for t in (far.indices, far.indptr))
    return Entries(index, ptr)
