"""The benchmark of products with stalks runs, and its formulations agree."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _benchmarks_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_quick_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    import kernels_sheaf

    before = torch.get_num_threads()
    monkeypatch.setattr(kernels_sheaf, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(sys, "argv", ["kernels_sheaf.py", "--quick"])
    try:
        kernels_sheaf.main()
    finally:
        torch.set_num_threads(before)
    printed = capsys.readouterr().out
    assert all(graph in printed for graph in kernels_sheaf.EDGES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("kind", ["random", "mesh"])
def test_formulations_agree_in_any_order(kind: str, d: int) -> None:
    import kernels_sheaf
    import kernels_sheaf_peers as peers

    edges = kernels_sheaf.EDGES[kind](50, 200)
    assert 150 < edges.shape[1] <= 200
    assert (edges[0] < edges[1]).all()
    renumbered = peers.reorder(50, edges)
    degrees = [np.sort(np.bincount(e.ravel(), minlength=50)) for e in (edges, renumbered)]
    assert (degrees[0] == degrees[1]).all()
    for order in (edges, renumbered):
        p = peers.make_laplacian(50, order, d, 4)
        expected = peers.ours(p)(p.x, p.blocks)
        for peer in peers.peers(p).values():
            torch.testing.assert_close(peer(p.x, p.blocks), expected, rtol=1e-4, atol=1e-4)
        product = peers.assemble(p) @ p.x.view(-1, 4)
        torch.testing.assert_close(product.view_as(expected), expected, rtol=1e-4, atol=1e-4)
