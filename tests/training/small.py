"""A small data set and model, for tests and for the process that is killed in them."""

import torch
from torch import nn

from topodiff.complexes import CellComplex, batch
from topodiff.training import FitConfig, ModelConfig, Samples, TrainConfig

SMALL = TrainConfig(
    model=ModelConfig("cin", hidden_channels=4, num_layers=1), fit=FitConfig(epochs=2), members=2
)


class Pooled(nn.Module):
    """Mean of the vertices through two linear maps with dropout, and features if there are any."""

    def __init__(self, width=3, columns=1, features=0, hidden=8):
        super().__init__()
        self.vertices = nn.Linear(width, hidden)
        self.features = nn.Linear(features, hidden) if features else None
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(hidden, columns)

    def forward(self, complexes, features=None):
        n = len(complexes)
        sums = torch.zeros(n, complexes.x[0].shape[1]).index_add_(
            0, complexes.membership(0), complexes.x[0]
        )
        hidden = self.vertices(sums / complexes.ptr[0].diff()[:, None])
        if features is not None:
            hidden = hidden + self.features(features)
        return self.out(self.dropout(hidden.relu()))


def cycle(size, generator):
    edges = torch.stack([torch.arange(size), (torch.arange(size) + 1) % size])
    return CellComplex.from_edges(size, edges).replace(
        x={0: torch.randn(size, 3, generator=generator)}
    )


def samples(n=40, columns=1, seed=0, features=0, missing=0.0):
    """Cycles with random vertices; the targets are linear in the mean vertex."""
    generator = torch.Generator().manual_seed(seed)
    complexes = batch([cycle(3 + i % 4, generator) for i in range(n)])
    means = torch.stack([k.x[0].mean(0) for k in complexes])
    y = 5 + 2 * means @ torch.randn(3, columns, generator=torch.Generator().manual_seed(1))
    y[torch.rand(n, columns, generator=generator) < missing] = torch.nan
    extra = torch.randn(n, features, generator=generator) if features else None
    return Samples(complexes, y, extra)
