"""Every model of the package, small, with a complex that it takes."""

from __future__ import annotations

from functools import partial

import networkx as nx
import torch

import topodiff as td
from topodiff.nn import (
    BLEND,
    CIN,
    GAT,
    GCN,
    GCNII,
    GIN,
    GINE,
    GRAFF,
    GRAND,
    H2GCN,
    SIN,
    CochainSheafDiffusion,
    ContinuousSheafDiffusion,
    FingerprintMLP,
    FlowSheafDiffusion,
    GraphCON,
    GraphSAGE,
    HodgeDiffusion,
    NeuralSheafDiffusion,
    NodeMLP,
    OrientedSIN,
)  # fmt: skip

SHAPE, REAL, CATEGORIES = (4, 6, 2), ({0: 4, 1: 4}, 6, 2), ({0: (3,), 1: (2,)}, 6, 2)
FIXED = {"solver": "rk4", "step_size": 0.5}
POSITIONS = {"position_channels": 12, **FIXED}
SHEAVES = (
    "identity", "scalar", "diagonal", "orthogonal", "special_orthogonal", "general", "bundle",
)  # fmt: skip
FILTERS = {"low_pass": True, "high_pass": True, "second_linear": True}

OF_VERTICES = {
    "MLP": partial(NodeMLP, *SHAPE),
    "GCN": partial(GCN, *SHAPE),
    "GAT": partial(GAT, *SHAPE, heads=2),
    "SAGE": partial(GraphSAGE, *SHAPE),
    "H2GCN": partial(H2GCN, *SHAPE),
    "GCNII": partial(GCNII, *SHAPE, num_layers=3),
    "GRAND": partial(GRAND, *SHAPE, heads=2),
    "GRAND-nl": partial(GRAND, *SHAPE, heads=2, linear=False, attention_init="glorot", **FIXED),
    "GRAND-implicit": partial(
        GRAND, *SHAPE, attention="constant", solver="implicit_euler", step_size=0.5
    ),
    "GRAND-rw": partial(
        GRAND, *SHAPE, mlp=True, norm=True, pagerank_neighbors=3, squash="squareplus", **FIXED
    ),
    "BLEND": partial(BLEND, *SHAPE, position_neighbors=3, **POSITIONS),
    "BLEND-walks": partial(BLEND, *SHAPE, position_walks=True, **POSITIONS),
    "GRAFF": partial(GRAFF, *SHAPE),
    "GraphCON": partial(GraphCON, *SHAPE),
    "GraphCON-mapped": partial(GraphCON, *SHAPE, residual="mapped"),
    "GraphCON-gat": partial(GraphCON, *SHAPE, coupling="gat", heads=2, residual="learnt"),
    "GraphCON-leapfrog": partial(GraphCON, *SHAPE, solver="leapfrog", dt=0.5),
    **{f"NSD-{maps}": partial(NeuralSheafDiffusion, *SHAPE, maps=maps) for maps in SHEAVES},
    "NSD-filters": partial(NeuralSheafDiffusion, *SHAPE, edge_weights=True, **FILTERS),
    "NSD-cayley": partial(
        NeuralSheafDiffusion, *SHAPE, 5, maps="special_orthogonal", parametrization="cayley"
    ),
    "NSD-continuous": partial(ContinuousSheafDiffusion, *SHAPE, add_source=True),
    "NSD-frozen": partial(ContinuousSheafDiffusion, *SHAPE, maps="bundle", frozen_sheaf=True),
}
OF_EDGES = {
    "Hodge": partial(HodgeDiffusion, *SHAPE),
    "flow-sheaf": partial(FlowSheafDiffusion, *SHAPE),
    "flow-sheaf-general": partial(FlowSheafDiffusion, *SHAPE, maps="general"),
}
OF_COMPLEXES = {
    "CIN": partial(CIN, *REAL),
    "CIN-categories": partial(CIN, *CATEGORIES),
    "CIN-lower": partial(CIN, *REAL, lower_messages=True, norm="layer"),
    "SIN": partial(SIN, *REAL),
    "GIN": partial(GIN, *REAL),
    "GINE": partial(GINE, *REAL),
    "oriented-SIN": partial(OrientedSIN, *SHAPE),
    "cochain-sheaf": partial(CochainSheafDiffusion, *REAL),
    "fingerprint": partial(FingerprintMLP, *CATEGORIES),
}
MODELS = {**OF_VERTICES, **OF_EDGES, **OF_COMPLEXES}


def complex_for(name: str) -> td.CellComplex:
    """A graph with triangles filled, with the features that the model was made for."""
    K = td.liftings.CliqueLifting(max_rank=2)(nx.watts_strogatz_graph(12, 4, 0.1, seed=0))
    g = torch.Generator().manual_seed(0)
    if name in ("CIN-categories", "fingerprint"):
        draw = partial(torch.randint, generator=g)
        return K.replace(x={r: draw(3 - r, (K.num_cells(r), 1)) for r in range(2)})
    return K.replace(x={r: torch.randn(K.num_cells(r), 4, generator=g) for r in range(2)})
