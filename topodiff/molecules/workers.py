"""A map over worker processes that keeps the order and survives the death of a worker."""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

Shared = TypeVar("Shared")
Result = TypeVar("Result")


def map_in_workers(
    function: Callable[[list, Shared], Result],
    chunks: list[list],
    shared: Shared,
    num_workers: int,
    died: Callable[[Any, Shared], Result],
    join: Callable[[Result, Result, int], Result],
) -> Iterator[Result]:
    """``function(chunk, shared)`` for every chunk, in order.

    If a worker dies (killed, out of memory), what was not finished is done again, one chunk at a
    time in a process of its own; a chunk that kills its process is halved until the one item to
    blame is found, whose result is ``died(item, shared)``. ``join(first, second, offset)`` puts
    halves together, ``offset`` being the number of items of the first.
    """
    done = 0
    try:
        with _pool(min(num_workers, len(chunks))) as pool:
            futures = [pool.submit(function, chunk, shared) for chunk in chunks]
            try:
                for future in futures:
                    result = future.result()
                    done += 1
                    yield result
            finally:  # on an error or an interrupt do not wait for what nobody will ask for
                pool.shutdown(wait=False, cancel_futures=True)
    except BrokenProcessPool:
        for chunk in chunks[done:]:
            yield _alone(function, chunk, shared, died, join)


def _alone(function, chunk, shared, died, join):  # type: ignore[no-untyped-def]
    try:
        with _pool(1) as pool:
            return pool.submit(function, chunk, shared).result()
    except BrokenProcessPool:
        if len(chunk) == 1:
            return died(chunk[0], shared)
        half = len(chunk) // 2
        first = _alone(function, chunk[:half], shared, died, join)
        return join(first, _alone(function, chunk[half:], shared, died, join), half)


def _pool(num_workers: int) -> Executor:
    # On Linux workers are forked, as by torch's DataLoader: they start at once, scripts need no
    # __main__ guard, and the work (RDKit, NumPy, our own code) touches none of torch's threads.
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process.*is multi-threaded", DeprecationWarning)
        return ProcessPoolExecutor(num_workers, mp_context=context)
