"""Random small cases of every product with stalks, and of what a layer of sheaf diffusion does
beside them, against the oracle: bit for bit, but for activations that make no integers.

    python tests/kernels/fuzz_sheaf.py [--cases N] [--processes N] [--seed N]

Every case runs all products, and one part of a layer with its gradients: maps of one kind, d and
channels at random, both dtypes, both index dtypes, empty segments, isolated vertices, loops, no
edges, arrays that are not contiguous, results that start as NaN; the instruction set changes every
few hundred cases.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from kernel_cases import implementation
from layer_cases import LayerCase, agree, make_layer_case, values_and_gradients
from sheaf_cases import (
    COMPILED_SETS,
    PRODUCTS,
    SheafCase,
    inputs_of,
    make_sheaf_case,
    names_for,
)

from topodiff import kernels

PER_CHUNK = 500


def random_case(rng: np.random.Generator) -> SheafCase:
    """Mostly tiny; now and then more channels or larger stalks."""
    small = rng.random() < 0.9
    return make_sheaf_case(
        rng,
        num_faces=int(rng.integers(0, 7)),
        num_cells=int(rng.integers(0, 6)),
        num_edges=int(rng.integers(0, 10)),
        d=int(rng.integers(1, 5 if small else 12)),
        channels=int(rng.integers(0, 6 if small else 80)),
        kind=int(rng.integers(1, 4)),
        diagonal_kind=int(rng.integers(0, 4)),
        dtype=torch.float32 if rng.random() < 0.5 else torch.float64,
        index_dtype=torch.int32 if rng.random() < 0.5 else torch.int64,
        strided=bool(rng.random() < 0.1),
        longest=2 if rng.random() < 0.9 else 300,
    )


Results = tuple[dict[str, torch.Tensor], list[torch.Tensor]]


def results(case: SheafCase, layer: LayerCase) -> Results:
    """Of all products by name, and of the part of a layer."""
    with torch.no_grad():
        found = {name: PRODUCTS[name][0](case, *inputs_of(name, case)) for name in names_for(case)}
    return found, values_and_gradients(case, layer)


def check_chunk(seed: int, chunk: int, cases: int) -> int:
    """Checks the cases of a chunk; returns how many results were compared."""
    torch.set_num_threads(1)
    rng = np.random.default_rng([seed, chunk])
    made = []
    for _ in range(cases):
        case = random_case(rng)
        made.append((case, make_layer_case(rng, case)))
    with kernels.use("reference"):
        expected = [results(*both) for both in made]
    allowed = [w for w in COMPILED_SETS if _runs_here(w[1])]
    with implementation(*allowed[chunk % len(allowed)]):
        actual = [results(*both) for both in made]
    for number, (both, found, right) in enumerate(zip(made, actual, expected, strict=True)):
        wrong = _different(both[1], found, right)
        assert not wrong, f"{wrong}: seed {seed}, chunk {chunk}, case {number}, {both}"
    return sum(len(products) + len(part) for products, part in actual)


def _different(layer: LayerCase, found: Results, right: Results) -> list[str]:
    """What differs."""
    names = [name for name, value in right[0].items() if not torch.equal(found[0][name], value)]
    pairs = enumerate(zip(found[1], right[1], strict=True))
    return names + [f"{layer.part} ({k})" for k, (a, b) in pairs if not agree(layer, a, b)]


def _runs_here(instruction_set: str | None) -> bool:
    used = kernels.cpu.limit_instruction_set(instruction_set)
    kernels.cpu.limit_instruction_set()
    return used == instruction_set


def fuzz(cases: int, seed: int = 0, processes: int = 1) -> int:
    """Returns how many results were compared; raises AssertionError at the first difference."""
    sizes = [PER_CHUNK] * (cases // PER_CHUNK)
    if cases % PER_CHUNK:
        sizes.append(cases % PER_CHUNK)
    work = ([seed] * len(sizes), range(len(sizes)), sizes)
    if processes == 1:
        return sum(map(check_chunk, *work))
    with ProcessPoolExecutor(processes) as pool:
        return sum(pool.map(check_chunk, *work, chunksize=4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=500_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    compared = fuzz(options.cases, options.seed, options.processes)
    seconds = time.perf_counter() - start
    print(f"{options.cases} cases, {compared} results as the oracle has them, {seconds:.0f} s")


if __name__ == "__main__":
    main()
