"""The same bits, whatever the number of threads, in every process and beside other threads."""

from __future__ import annotations

import multiprocessing
import threading

import pytest
import torch
from kernel_cases import COMPILED, Case, implementation, make_case
from kernel_operations import OPERATIONS

pytestmark = pytest.mark.skipif(not COMPILED, reason="the compiled kernels are not built")


def random_case() -> Case:
    """Large enough for eight threads, with a segment that belongs to none of them alone."""
    case = make_case([s % 9 for s in range(4000)] + [20_000], 3000, (19,), seed=1)
    g = torch.Generator().manual_seed(0)
    for field in ("entries", "faces", "cells", "weight"):
        shape = getattr(case, field).shape
        setattr(case, field, torch.randn(shape, generator=g, requires_grad=True))
    return case


def results(name: str, case: Case) -> list[torch.Tensor]:
    inputs = [getattr(case, field) for field in OPERATIONS[name].inputs]
    out = OPERATIONS[name].run(case, *inputs)
    return [out, *torch.autograd.grad(out.sin().sum(), inputs)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_same_bits_for_any_number_of_threads(name: str) -> None:
    case, before = random_case(), torch.get_num_threads()
    try:
        seen = []
        for threads in (1, 2, 3, 8, 1):
            torch.set_num_threads(threads)
            with implementation("cpu"):
                seen.append(results(name, case))
    finally:
        torch.set_num_threads(before)
    for other in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))


def _child(queue: multiprocessing.Queue, case: Case, expected: torch.Tensor) -> None:
    torch.set_num_threads(2)
    with torch.no_grad():
        out = OPERATIONS["coface silu"].run(case, case.faces, case.cells)
    torch.set_num_threads(1)  # PyTorch's own threads do not survive a fork
    queue.put(torch.equal(out, expected))


def test_forked_child_runs_threads_after_its_parent_did() -> None:
    case = random_case()
    with torch.no_grad():
        expected = OPERATIONS["coface silu"].run(case, case.faces, case.cells)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(queue, case, expected))
    child.start()
    try:
        assert queue.get(timeout=60)
    finally:
        child.join(10)
        child.kill()


def test_python_threads_share_the_kernels() -> None:
    case = random_case()
    expected = results("gather sum", case)[0]
    equal: list[bool] = []

    def repeat() -> None:
        for _ in range(20):
            equal.append(torch.equal(results("gather sum", case)[0], expected))

    threads = [threading.Thread(target=repeat) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert equal == [True] * 60
