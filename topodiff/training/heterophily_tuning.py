"""What the heterophily benchmark searches for settings."""

from __future__ import annotations

from functools import partial
from typing import Any

from topodiff.training.heterophily import HETEROPHILY
from topodiff.training.heterophily_settings import (
    LEARNER,
    Options,
    family_of,
    settings,
    without_learner,
)
from topodiff.training.tuning import Search, Space

_FIT: dict[str, Any] = {
    "hidden_channels": [32, 64],
    "dropout": [0.0, 0.3, 0.5, 0.7],
    "learning_rate": [0.01, 0.02, 0.05],
    "weight_decay": (1e-6, 1e-2),
    "select": ["loss", "metric"],
}
SPACE: dict[str, dict[str, Any]] = {
    "baseline": {**_FIT, "num_layers": [2, 3]},
    "gat": {"heads": [4, 8], "attention_dropout": [0.0, 0.5]},
    "h2gcn": {"num_layers": [1, 2]},
    "gcnii": {"num_layers": [4, 8, 16], "lambda_": [0.5, 1.0, 1.5], "alpha": [0.1, 0.2, 0.5]},
    # the ranges of the published sweep (Bodnar et al., config/orth_webkb_sweep.yml)
    "nsd": {
        "hidden_channels": [8, 16, 32],
        "stalk_dim": [2, 3, 4],
        "num_layers": [2, 3, 4, 5, 6],
        "dropout": [k / 10 for k in range(10)],
        "input_dropout": [k / 10 for k in range(10)],
        "low_pass": [False, True],
        "high_pass": [False, True],
        "learning_rate": [0.01, 0.02],
        "weight_decay": (1e-4, 1.1e-3),
        LEARNER: (1.7e-5, 1.1e-3),
        "select": ["loss", "metric"],
    },
}


def space_of(model: str) -> Space:
    """Of its family, and its own."""
    return {**SPACE.get(family_of(model), {}), **SPACE.get(model, {})}


def finish(model: str, options: Options) -> Options:
    """The weight decay of the learner goes where the fit looks for it."""
    if LEARNER in options:
        options = {**options, "decays": {LEARNER: options[LEARNER]}}
        del options[LEARNER]
    return without_learner(options) if model == "identity-nsd" else options


SEARCH = Search(HETEROPHILY, space_of, partial(settings, ""), finish)
