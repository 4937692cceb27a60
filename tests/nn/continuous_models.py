"""Models in continuous time on a small graph."""

from __future__ import annotations

import torch

from topodiff.complexes import CellComplex
from topodiff.nn import BLEND, GRAFF, GRAND, GraphCON

EDGES = torch.tensor([[0, 0, 1, 2, 3, 4, 5, 6, 2], [1, 2, 2, 3, 4, 5, 6, 7, 6]])
N, IN, HIDDEN, OUT = 9, 5, 8, 3  # vertex 8 is isolated
X = torch.randn(N, IN, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
U = torch.randn(N, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
GRAPH = CellComplex.from_edges(N, EDGES).replace(x={0: X}, positions=U)

FIXED = {"solver": "rk4", "step_size": 0.25}
MODELS = {
    "grand-l": lambda: GRAND(IN, HIDDEN, OUT, heads=2, attention_init="glorot", **FIXED),
    "grand-nl": lambda: GRAND(IN, HIDDEN, OUT, heads=2, linear=False, **FIXED),
    "grand-constant": lambda: GRAND(IN, HIDDEN, OUT, attention="constant", **FIXED),
    "grand-layers": lambda: GRAND(
        IN, HIDDEN, OUT, 4, linear=False, heads=2, attention="cosine", solver="euler",
        step_size=0.25, channel_rates=True,
    ),
    "grand-l-layers": lambda: GRAND(IN, HIDDEN, OUT, 2, heads=2, attention="pearson", **FIXED),
    "grand-rw": lambda: GRAND(
        IN, HIDDEN, OUT, heads=2, linear=False, attention="exp_kernel", squash="squareplus",
        normalization="col", pagerank_neighbors=8, keep_attention=0.5, **FIXED,
    ),
    "grand-all": lambda: GRAND(
        IN, HIDDEN, OUT, heads=2, squash="shifted_squareplus", normalization="sym", mlp=True,
        norm=True, augment=2, second_linear=True, detach_source=True, rate_sigmoid=False,
        loops=0.0, **FIXED,
    ),
    "grand-dopri5": lambda: GRAND(IN, HIDDEN, OUT, heads=2, tol_scale=100.0),
    "grand-implicit": lambda: GRAND(
        IN, HIDDEN, OUT, heads=2, solver="implicit_euler", step_size=0.5
    ),
    "blend": lambda: BLEND(IN, HIDDEN, OUT, heads=2, position_channels=2, **FIXED),
    "blend-kernel": lambda: BLEND(
        IN, HIDDEN, OUT, heads=2, position_channels=2, attention="exp_kernel", neighbors=3,
        **FIXED,
    ),
    "blend-radius": lambda: BLEND(
        IN, HIDDEN, OUT, heads=2, position_channels=2, radius=1.0, augment=1, **FIXED
    ),
    "blend-moving": lambda: BLEND(
        IN, HIDDEN, OUT, heads=2, position_channels=2, neighbors=3, moving=True, linear=False,
        **FIXED,
    ),
    "graff": lambda: GRAFF(IN, HIDDEN, OUT, step_size=0.5),
    "graff-layers": lambda: GRAFF(IN, HIDDEN, OUT, 3, form="sum", omega="diag_dom", loops=1.0),
    "graff-plain": lambda: GRAFF(IN, HIDDEN, OUT, form="prod", omega=None, add_source=False),
    "graphcon": lambda: GraphCON(IN, HIDDEN, OUT, 3, dt=0.5),
    "graphcon-mapped": lambda: GraphCON(
        IN, HIDDEN, OUT, 3, residual="mapped", alpha=0.0, gamma=0.0
    ),
    "graphcon-gat-learnt": lambda: GraphCON(
        IN, HIDDEN, OUT, 2, coupling="gat", heads=2, residual="learnt"
    ),
    "graphcon-learnt": lambda: GraphCON(IN, HIDDEN, OUT, 3, residual="learnt", shared=False),
    "graphcon-gat": lambda: GraphCON(IN, HIDDEN, OUT, 3, coupling="gat", heads=2),
    "graphcon-leapfrog": lambda: GraphCON(IN, HIDDEN, OUT, 2, dt=0.2, solver="leapfrog"),
}  # fmt: skip


def make(name):
    torch.manual_seed(0)
    return MODELS[name]().double()


def encoded(model):
    return model.encode(GRAPH, None).detach()
