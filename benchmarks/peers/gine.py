"""GINE in PyTorch Geometric, of the widths used on ZINC (Hu et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import GINEConv, global_add_pool


class GINE(nn.Module):
    """Embeddings, GINE convolutions with batch norm, sum readout, two linear maps."""

    def __init__(
        self, hidden_channels: int, num_layers: int, atom_types: int = 28, bond_types: int = 4
    ) -> None:
        super().__init__()
        h = hidden_channels
        self.atoms = nn.Embedding(atom_types, h)
        self.bonds = nn.Embedding(bond_types, h)
        self.convs = nn.ModuleList(
            GINEConv(
                nn.Sequential(
                    nn.Linear(h, h), nn.BatchNorm1d(h), nn.ReLU(),
                    nn.Linear(h, h), nn.BatchNorm1d(h), nn.ReLU(),
                )
            )
            for _ in range(num_layers)
        )  # fmt: skip
        self.lin1 = nn.Linear(h, 2 * h)
        self.lin2 = nn.Linear(2 * h, 1)

    def forward(self, batch: Batch) -> Tensor:
        x, edge = self.atoms(batch.x), self.bonds(batch.edge_attr)
        for conv in self.convs:
            x = conv(x, batch.edge_index, edge)
        x = global_add_pool(x, batch.batch, size=batch.num_graphs)
        return self.lin2(torch.relu(self.lin1(x)))
