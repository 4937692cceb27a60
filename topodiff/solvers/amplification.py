"""How much one explicit step multiplies a mode by, from the coefficients of the method."""

from __future__ import annotations

import math

import numpy as np

from topodiff.solvers.tableaus import ADAMS_BASHFORTH, ADAMS_MOULTON, Multistep

# explicit Runge-Kutta methods with as many stages as their order: R(z) = sum_k z^k / k!
_STAGES = {"euler": 1, "midpoint": 2, "heun": 2, "heun2": 2, "heun3": 3, "rk4": 4}


def growth(solver: str, order: int | None, z: np.ndarray) -> np.ndarray:
    """The largest factor by which a step multiplies solutions of ``dx/dt = mu x``, at each
    ``z = h mu``: the spectral radius of the map from past states to the next ones."""
    weights = _weights(solver, 4 if order is None else order, z)
    count = weights.shape[-1]
    companion = np.zeros((*z.shape, count, count), dtype=complex)
    companion[..., 0, :] = weights
    companion[..., range(1, count), range(count - 1)] = 1
    return np.abs(np.linalg.eigvals(companion)).max(-1)


def _weights(solver: str, order: int, z: np.ndarray) -> np.ndarray:
    """w (*z.shape, past) of ``x' = sum_j w_j x_{-j}``."""
    if solver in _STAGES:
        terms = [z**k / math.factorial(k) for k in range(_STAGES[solver] + 1)]
        return np.sum(terms, axis=0)[..., None]
    if solver == "adams_bashforth":
        return _known_part(ADAMS_BASHFORTH[order], z)
    if solver == "explicit_adams":
        return _known_part(ADAMS_BASHFORTH[3], z)
    if solver == "adams_moulton":
        formula = ADAMS_MOULTON[order]
        return _known_part(formula, z) / (1 - z * formula.implicit)[..., None]
    if solver == "predictor_corrector":
        return _corrected(ADAMS_BASHFORTH[order], ADAMS_MOULTON[order], 1, z)
    # implicit_adams and fixed_adams of torchdiffeq with max_order = 4
    return _corrected(ADAMS_BASHFORTH[3], ADAMS_MOULTON[4], 4, z)


def _known_part(formula: Multistep, z: np.ndarray) -> np.ndarray:
    """What a step takes from the present and the past."""
    weights = z[..., None] * np.array(formula.slopes or (0.0,))
    weights[..., 0] += 1
    return weights


def _corrected(predictor: Multistep, corrector: Multistep, times: int, z: np.ndarray) -> np.ndarray:
    known = _known_part(corrector, z)
    new = _known_part(predictor, z)
    missing = new.shape[-1] - known.shape[-1]
    known = np.concatenate([known, np.zeros((*z.shape, max(missing, 0)))], -1)
    for _ in range(times):
        new = known + (z * corrector.implicit)[..., None] * new
    return new
