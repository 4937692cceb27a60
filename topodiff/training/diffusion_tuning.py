"""What the diffusion benchmark searches for settings: those of oscillators on citation graphs, of
which none are published. Widths, times and rates range about those of GRAND."""

from __future__ import annotations

from topodiff.training.diffusion import DIFFUSION
from topodiff.training.node_benchmark import Options
from topodiff.training.tuning import Search, Space

_OSCILLATOR: Space = {
    "hidden_channels": [64, 128],
    "num_layers": [2, 3, 4, 6, 8],
    "dropout": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
    "input_dropout": [0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
    "alpha": [0.0, 0.25, 0.5, 1.0],
    "gamma": [0.0, 0.25, 0.5, 1.0],
    "dt": [0.25, 0.5, 1.0],
    "activation": ["identity", "relu", "elu"],
    "optimizer": ["adam", "adamax"],
    "learning_rate": (1e-3, 3e-2),
    "weight_decay": (1e-3, 1e-1),
}
SPACE: dict[str, Space] = {
    "graphcon-gcn": {**_OSCILLATOR, "residual": [None, "mapped", "learnt"]},
    "graphcon-gat": {**_OSCILLATOR, "residual": [None, "learnt"], "heads": [4, 8]},
}
_FIXED: Options = {"encode_activation": False, "step_dropout": 0.0, "epochs": 200, "patience": 40}


def space_of(model: str) -> Space:
    """ValueError for models with published settings."""
    if model not in SPACE:
        raise ValueError(f"settings of {model} are published; {', '.join(SPACE)} can be tuned")
    return SPACE[model]


SEARCH = Search(DIFFUSION, space_of, lambda model: _FIXED)
