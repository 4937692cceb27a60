"""What the diffusion benchmark searches for settings: those of oscillators on citation graphs, of
which none are published. Widths, times and rates range about those of GRAND."""

from __future__ import annotations

from topodiff.training.diffusion import DIFFUSION
from topodiff.training.diffusion_settings import SEARCHED
from topodiff.training.tuning import Search, Space

# A first search, with residual maps and steps down to a quarter, found both to be worse.
_OSCILLATOR: Space = {
    "hidden_channels": [64, 128],
    "num_layers": [4, 6, 8, 12],
    "dropout": [0.1, 0.2, 0.3, 0.4, 0.5],
    "input_dropout": [0.3, 0.4, 0.5, 0.6, 0.7],
    "alpha": [0.0, 0.25, 0.5, 1.0],
    "gamma": [0.25, 0.5, 0.75, 1.0],
    "activation": ["identity", "relu", "elu"],
    "shared": [True, False],
    "optimizer": ["adam", "adamax"],
    "learning_rate": (5e-4, 1e-2),
    "weight_decay": (2e-3, 1e-1),
}
SPACE: dict[str, Space] = {
    "graphcon-gcn": _OSCILLATOR,
    "graphcon-gat": {**_OSCILLATOR, "heads": [4, 8]},
}


def space_of(model: str) -> Space:
    """ValueError for models with published settings."""
    if model not in SPACE:
        raise ValueError(f"settings of {model} are published; {', '.join(SPACE)} can be tuned")
    return SPACE[model]


SEARCH = Search(DIFFUSION, space_of, lambda model: SEARCHED)
