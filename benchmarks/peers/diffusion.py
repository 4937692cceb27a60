"""GRAND and GraphCON as one writes them with PyTorch Geometric and torchdiffeq.

GRAND (Chamberlain et al., ICML 2021): attention at x(0), ``dx/dt = sigmoid(a) (A x - x) + b x(0)``
by dopri5. GraphCON (Rusch et al., ICML 2022): steps ``y <- y + dt (act(F(x)) - gamma x - alpha
y)``, ``x <- x + dt y``. Messages go along edges by gather and scatter, as in the published code.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import GATConv, GCNConv
from torch_geometric.utils import scatter
from torchdiffeq import odeint


class PlainGRAND(nn.Module):
    """GRAND with attention by scaled products and a shifted squareplus.

    Args:
        linear: attention at x(0) alone; else at every evaluation.
        by: 0, weights sum to 1 over each row; 1, over each column.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        *,
        linear: bool,
        heads: int,
        attention_channels: int,
        time: float,
        tol_scale: float,
        dropout: float,
        input_dropout: float,
        by: int,
    ) -> None:
        super().__init__()
        self.linear, self.heads, self.by = linear, heads, by
        self.time, self.tol_scale = time, tol_scale
        self.dropout, self.input_dropout = dropout, input_dropout
        self.encoder = nn.Linear(in_channels, hidden_channels)
        self.query = nn.Linear(hidden_channels, attention_channels)
        self.key = nn.Linear(hidden_channels, attention_channels)
        self.decoder = nn.Linear(hidden_channels, out_channels)
        self.rate = nn.Parameter(torch.zeros(()))
        self.strength = nn.Parameter(torch.zeros(()))

    def attention(self, x: Tensor, edges: Tensor) -> Tensor:
        """(edges,) weights, the mean over heads."""
        row, column = edges
        q = self.query(x).view(len(x), self.heads, -1)
        k = self.key(x).view(len(x), self.heads, -1)
        scores = (q[row] * k[column]).sum(-1) / q.shape[-1] ** 0.5
        scores = scores - scores.max()
        positive = (scores + (scores**2 + 4).sqrt()) / 2
        total = scatter(positive, edges[self.by], 0, len(x), "sum")
        return (positive / total[edges[self.by]]).mean(1)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Features, and edges in both directions with loops (row, column) -> classes."""
        x = self.encoder(F.dropout(x, self.input_dropout, self.training))
        source = x.detach()
        row, column = edges
        rate = self.rate.sigmoid()
        fixed = self.attention(x, edges) if self.linear else None

        def derivative(t: Tensor, x: Tensor) -> Tensor:
            weight = self.attention(x, edges) if fixed is None else fixed
            product = scatter(weight[:, None] * x[column], row, 0, len(x), "sum")
            return rate * (product - x) + self.strength * source

        times = torch.tensor([0.0, self.time])
        options = {"atol": 1e-7 * self.tol_scale, "rtol": 1e-9 * self.tol_scale}
        x = odeint(derivative, x, times, method="dopri5", **options)[1]
        return self.decoder(F.dropout(x.relu(), self.dropout, self.training))


class PlainGraphCON(nn.Module):
    """GraphCON with GCN or GAT, one for all steps.

    Args:
        residual: F(x) - W x + R x + r in place of F(x), for gcn.
        activation: of coupling and encoder, relu or none.
        step_dropout: after every step but the last.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int,
        *,
        coupling: str,
        heads: int = 4,
        alpha: float,
        gamma: float,
        dropout: float,
        input_dropout: float,
        step_dropout: float,
        residual: bool,
        activation: bool,
        encode_activation: bool,
    ) -> None:
        super().__init__()
        self.num_layers, self.alpha, self.gamma = num_layers, alpha, gamma
        self.dropout, self.input_dropout = dropout, input_dropout
        self.step_dropout = step_dropout
        self.activation, self.encode_activation = activation, encode_activation
        self.encoder = nn.Linear(in_channels, hidden_channels)
        self.conv = (
            GCNConv(hidden_channels, hidden_channels, cached=True)
            if coupling == "gcn"
            else GATConv(hidden_channels, hidden_channels // heads, heads)
        )
        self.residual = nn.Linear(hidden_channels, hidden_channels) if residual else None
        self.decoder = nn.Linear(hidden_channels, out_channels)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Features, and edges in both directions -> classes."""
        x = self.encoder(F.dropout(x, self.input_dropout, self.training))
        x = x.relu() if self.encode_activation else x
        y = F.dropout(x, self.dropout, self.training)
        x = F.dropout(x, self.dropout, self.training)
        for step in range(self.num_layers):
            force = self.conv(x, edges)
            if self.residual is not None:
                force = force - self.conv.lin(x) + self.residual(x)
            force = force.relu() if self.activation else force
            y = y + force - self.alpha * y - self.gamma * x
            x = x + y
            p = self.dropout if step + 1 == self.num_layers else self.step_dropout
            x, y = F.dropout(x, p, self.training), F.dropout(y, p, self.training)
        return self.decoder(x)
