"""Entries and weights that several tests use."""

from __future__ import annotations

import torch
from domains import GRAPH

from topodiff.dynamics import Entries, EntryOperator, normalize

F64 = torch.float64
LOOPS = Entries.from_complex(GRAPH, loops=True)
N = 8


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def weights(entries, normalization="row", seed=1):
    raw = randn(entries.nnz, 1, seed=seed).exp()
    return normalize(entries, raw, normalization)[:, 0]


def dense(entries, weight):
    return EntryOperator(entries, weight).to_dense()
