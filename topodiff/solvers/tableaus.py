"""Coefficients of one-step and multistep methods, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method: ``k_i = f(t + c_i h, x + h sum_j a_ij k_j)``,
    ``x' = x + h sum_i b_i k_i``.

    Attributes:
        order: of ``b``.
        a: rows of the strictly lower triangle, from the second stage on.
        b, c: weights and nodes.
        error: b minus the weights of the embedded method of order - 1; of methods whose last stage
            is the derivative at the new state (first same as last).
    """

    order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    error: tuple[float, ...] = ()


EULER = Tableau(1, (), (1.0,), (0.0,))
MIDPOINT = Tableau(2, ((1 / 2,),), (0.0, 1.0), (0.0, 1 / 2))
HEUN = Tableau(2, ((1.0,),), (1 / 2, 1 / 2), (0.0, 1.0))
RK4 = Tableau(
    4,
    ((1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
    (1 / 6, 1 / 3, 1 / 3, 1 / 6),
    (0.0, 1 / 2, 1 / 2, 1.0),
)
# Bogacki and Shampine, A 3(2) pair of Runge-Kutta formulas, 1989
BOGACKI_SHAMPINE = Tableau(
    3,
    ((1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
    (2 / 9, 1 / 3, 4 / 9, 0.0),
    (0.0, 1 / 2, 3 / 4, 1.0),
    (2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8),
)
# Dormand and Prince, A family of embedded Runge-Kutta formulae, 1980
DORMAND_PRINCE = Tableau(
    5,
    (
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0),
    (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
)


@dataclass(frozen=True)
class Multistep:
    """``x' - h implicit f(t + h, x') = sum_j states_j x_{-j} + h sum_j slopes_j f_{-j}``, j = 0 for
    the present.

    Attributes:
        order: of the method.
        states, slopes: weights of the present and past states and derivatives.
        implicit: weight of the derivative at the new state; 0 for explicit methods.
    """

    order: int
    states: tuple[float, ...]
    slopes: tuple[float, ...]
    implicit: float = 0.0

    @property
    def history(self) -> int:
        """How many past points are needed besides the present one."""
        return max(len(self.states), len(self.slopes)) - 1


ADAMS_BASHFORTH = {
    1: Multistep(1, (1.0,), (1.0,)),
    2: Multistep(2, (1.0,), (3 / 2, -1 / 2)),
    3: Multistep(3, (1.0,), (23 / 12, -16 / 12, 5 / 12)),
    4: Multistep(4, (1.0,), (55 / 24, -59 / 24, 37 / 24, -9 / 24)),
}
ADAMS_MOULTON = {
    1: Multistep(1, (1.0,), (), 1.0),
    2: Multistep(2, (1.0,), (1 / 2,), 1 / 2),
    3: Multistep(3, (1.0,), (8 / 12, -1 / 12), 5 / 12),
    4: Multistep(4, (1.0,), (19 / 24, -5 / 24, 1 / 24), 9 / 24),
}
BACKWARD_EULER = ADAMS_MOULTON[1]
TRAPEZOID = ADAMS_MOULTON[2]
BDF2 = Multistep(2, (4 / 3, -1 / 3), (), 2 / 3)
