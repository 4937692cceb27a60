"""Oversquashing: how little of what one vertex holds reaches another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.geometry.forman import curvature_of, edge_neighborhoods
from topodiff.operators import GraphLaplacian
from topodiff.solvers import linear_solve


def sensitivity(function: Callable[[Tensor], Tensor], x: Tensor, target: int) -> Tensor:
    """(n,) Frobenius norms of the Jacobians ``d out_target / d x_u``, u all vertices (Topping et
    al., Understanding over-squashing via curvature, ICLR 2022, section 3.1).

    One reverse pass for each channel of the result.

    Args:
        function: maps states (n, channels) to results (n, out_channels), a model with its complex
            bound: ``lambda x: model(complex, x)``.
        x: (n, channels).
        target: number of the vertex that receives.
    """
    if not -len(x) <= target < len(x):
        raise ValueError(f"target must be a vertex 0 to {len(x) - 1}, got {target}")
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        received = function(x)[target].flatten()
        total = torch.zeros_like(x)
        for channel in received if received.requires_grad else ():
            (grad,) = torch.autograd.grad(channel, x, retain_graph=True, allow_unused=True)
            if grad is not None:
                total += grad.square()
    return total.flatten(1).sum(1).sqrt()


def curvature_bound(complex: CellComplex, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
    """(n_1,) bound ``(alpha beta)^2 delta^{1/4}`` on what passes an edge of negative curvature, inf
    where there is none; theorem 4 of Topping et al. (ICLR 2022).

    Let (i, j) be an edge, d_i <= d_j, with ``Ric(i, j) <= -2 + delta`` for a
    ``delta < min(d_j^{-1/2}, 1 / gamma_max)``; the least is ``delta = Ric + 2``. Then there is a
    set Q of more than ``1 / delta`` vertices at distance two from i such that for any two layers

        mean over k in Q of |d h_k^(l+2) / d h_i^(l)| < (alpha beta)^2 delta^{1/4}

    for networks ``h_i' = phi(h_i, sum over j of a_ij psi(h_i, h_j))`` with the normalised adjacency
    matrix a (of the graph with self-loops), ``|grad phi| <= alpha`` and ``|grad psi| <= beta``.

    Args:
        complex: the graph.
        alpha, beta: Lipschitz constants of update and message.
    """
    if not (alpha > 0 and beta > 0):
        raise ValueError(f"alpha and beta must be positive, got {alpha} and {beta}")
    found = edge_neighborhoods(complex)
    delta = curvature_of(found) + 2
    high = torch.maximum(found.tail_degree, found.head_degree)
    holds = (delta < high.double().rsqrt()) & (delta * found.most_squares < 1)
    return torch.where(holds, (alpha * beta) ** 2 * delta**0.25, torch.inf)


@torch.no_grad()
def effective_resistance(
    complex: CellComplex, pairs: Tensor, weights: Tensor | None = None, *, tol: float = 1e-10
) -> Tensor:
    """(k,) resistances ``(e_u - e_v)^T L^+ (e_u - e_v)`` between pairs of vertices of a network
    whose edges conduct as their weights; infinite between parts that are not connected.

    Total resistance bounds how well message passing can mix (Black et al., Understanding
    oversquashing through the lens of effective resistance, ICML 2023). All pairs are solved for
    together by conjugate gradients.

    Args:
        complex: the graph.
        pairs: (2, k) vertices.
        weights: (n_1,) positive, or none.
        tol: of the residual.

    Raises:
        TypeError: for pairs that are no tensor.
        ValueError: for vertices that do not exist, or if the solver does not converge.
    """
    n = complex.num_cells(0)
    if not isinstance(pairs, Tensor):
        raise TypeError(f"pairs are a tensor (2, k), got {type(pairs).__name__}: convert them")
    if pairs.dim() != 2 or pairs.shape[0] != 2 or pairs.dtype != torch.int64:
        raise ValueError(f"pairs must be (2, k) long, got {tuple(pairs.shape)} of {pairs.dtype}")
    if pairs.numel() and not 0 <= int(pairs.min()) <= int(pairs.max()) < n:
        raise ValueError(f"pairs must name vertices 0 to {n - 1}")
    part = _components(complex)
    k = pairs.shape[1]
    b = torch.zeros(n, k, dtype=torch.float64, device=complex.device)
    column = torch.arange(k, device=complex.device)
    b[pairs[0], column] += 1
    b[pairs[1], column] -= 1
    apart = part[pairs[0]] != part[pairs[1]]
    b[:, apart] = 0
    laplacian = GraphLaplacian(complex, weights=None if weights is None else weights.double())
    # in exact arithmetic n steps are enough
    solved = linear_solve(laplacian, b, tol=tol, max_iterations=max(1000, 2 * n))
    if solved.status != "converged":
        raise ValueError(f"the resistances did not converge: {solved.status}; raise tol")
    return torch.where(apart, torch.inf, (b * solved.x).sum(0))


def _components(complex: CellComplex) -> Tensor:
    """(n_0,) number of the connected part of each vertex."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    tail, head = complex.edge_index.cpu().numpy()
    n = complex.num_cells(0)
    graph = sp.coo_matrix(([1] * len(tail), (tail, head)), shape=(n, n))
    return torch.from_numpy(connected_components(graph, directed=False)[1]).to(complex.device)
