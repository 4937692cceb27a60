"""Positions of vertices from random walks (Perozzi et al., DeepWalk, KDD 2014)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.incidence import count_to_ptr
from topodiff.complexes.integers import whole_number


def random_walks(
    complex: CellComplex, start: Tensor, length: int, generator: torch.Generator | None = None
) -> Tensor:
    """(walks, length) vertices: each walk goes on to a neighbour, all alike likely; from a vertex
    without neighbours it stays.

    Args:
        start: (walks,) first vertices.
        length: number of vertices.

    Raises:
        ValueError: for a length below 1.
    """
    whole_number("length", length, 1)
    tail, head = complex.edge_index
    row, order = torch.cat([tail, head]).sort(stable=True)
    neighbor, ptr = torch.cat([head, tail])[order], count_to_ptr(row, complex.num_cells(0))
    degree = ptr.diff()
    walk = [start]
    for _ in range(length - 1):
        at = walk[-1]
        part = torch.rand(len(at), generator=generator, dtype=torch.float64, device=at.device)
        number = (part * degree[at]).long()
        moves = degree[at] > 0
        after = at.clone()
        after[moves] = neighbor[ptr[at[moves]] + number[moves]]
        walk.append(after)
    return torch.stack(walk, 1)


@torch.inference_mode(False)
@torch.enable_grad()
def deepwalk(
    complex: CellComplex,
    dim: int,
    *,
    steps: int = 400,
    length: int = 20,
    window: int = 15,
    learning_rate: float = 0.02,
    seed: int = 0,
) -> Tensor:
    """(n_0, dim) positions z that make vertices of the same walk alike: the least

        ``mean of log(1 + exp(-z_i . z_j)) + mean of log(1 + exp(z_i . z_k))``

    over i, j at most ``window`` steps apart on a walk and k drawn from all vertices (skip-gram with
    negative samples; one table for both sides, as node2vec's code of PyTorch Geometric has it).

    Time is linear in vertices: each step of Adam sees a new walk from every vertex. The complexes
    of a batch have the positions that each has alone.

    Args:
        dim: width of the positions.
        steps: of Adam.
        length: vertices of a walk.
        window: see above; less than ``length``.
        learning_rate: of Adam.
        seed: positions depend on the graph and this alone.

    Raises:
        ValueError: for sizes that are no whole numbers from 1 on, or a window that no walk spans.
    """
    for name, value in (("dim", dim), ("steps", steps), ("window", window)):
        whole_number(name, value, 1)
    whole_number("length", length, window + 1)
    if complex.num_complexes != 1:
        options: dict[str, Any] = {
            "length": length,
            "window": window,
            "learning_rate": learning_rate,
            "seed": seed,
        }
        parts = [deepwalk(part, dim, steps=steps, **options) for part in complex]
        return torch.cat([torch.zeros(0, dim, device=complex.device), *parts])
    n, device = complex.num_cells(0), complex.device
    if n == 0:
        return torch.zeros(0, dim, device=device)
    generator = torch.Generator(device).manual_seed(seed)
    z = torch.randn(n, dim, generator=generator, device=device).requires_grad_()
    optimizer = torch.optim.Adam([z], lr=learning_rate, fused=True)
    start, place = torch.arange(n, device=device), torch.arange(length, device=device)
    apart = place - place[:, None]
    near = ((apart > 0) & (apart <= window)).float()
    near /= n * near.sum()
    for _ in range(steps):
        walks = random_walks(complex, start, length, generator)
        others = torch.randint(n, walks.shape, generator=generator, device=device)
        on_walk = F.embedding(walks, z)
        alike, unlike = on_walk @ on_walk.mT, on_walk @ F.embedding(others, z).mT
        optimizer.zero_grad()
        ((F.softplus(-alike) + F.softplus(unlike)) * near).sum().backward()
        optimizer.step()
    return z.detach()
