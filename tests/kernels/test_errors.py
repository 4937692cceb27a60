"""Wrong arguments are refused before anything is computed, by every implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kernel_calls import CALLS
from kernel_cases import COMPILED, implementation

from topodiff import kernels
from topodiff.kernels import gather_reduce, scatter_reduce, segment_reduce, segment_softmax

NAMES = ["reference", "cpu"] if COMPILED else ["reference"]
if "torch_scatter" in kernels.available():
    NAMES.append("torch_scatter")
X = torch.ones(4, 3)
INDEX = torch.tensor([0, 1, 1, 2])
PTR = torch.tensor([0, 3, 4])
FACE_PTR, BY_FACE = torch.tensor([0, 1, 3, 4]), torch.tensor([0, 1, 2, 3])


def coface(p, q, face=INDEX, cell_ptr=PTR, activation="relu"):  # type: ignore[no-untyped-def]
    return kernels.coface_message(p, q, face, cell_ptr, FACE_PTR, BY_FACE, activation)


def incidence(x, cell=INDEX, transpose=False, by_face=BY_FACE):  # type: ignore[no-untyped-def]
    face, cell_ptr = torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 3, 4])
    return kernels.incidence_matmul(x, face, cell, None, cell_ptr, FACE_PTR, by_face, transpose)


BAD_VALUES = {
    "ptr falls": lambda: kernels.segment_reduce(X, torch.tensor([0, 3, 2, 4])),
    "ptr beyond the end": lambda: kernels.segment_reduce(X, torch.tensor([0, 9, 4])),
    "negative ptr": lambda: kernels.segment_reduce(X, torch.tensor([0, -9, 4]), "max"),
    "ptr too short": lambda: kernels.segment_softmax(X, torch.tensor([0, 3])),
    "ptr starts late": lambda: kernels.segment_softmax(X, torch.tensor([1, 4])),
    "scatter index": lambda: kernels.scatter_reduce(X, torch.tensor([0, 1, 7, 0]), 3),
    "negative index": lambda: kernels.scatter_reduce(X, torch.tensor([0, -1, 2, 0]), 3, "max"),
    "gather index": lambda: kernels.gather_reduce(X, torch.tensor([0, 1, 2, 4]), PTR),
    "gather max index": lambda: kernels.gather_reduce(
        X, torch.tensor([0, 1, 2, -4]), PTR, reduce="max"
    ),
    "key": lambda: kernels.sort_by_key(torch.tensor([0, 5]), 5),
    "face": lambda: coface(X[:3], X[:2], face=torch.tensor([0, 1, 1, 3])),
    "cell_ptr": lambda: coface(X[:3], X[:2], cell_ptr=torch.tensor([0, 5, 4])),
    "cell": lambda: incidence(X[:3], cell=torch.tensor([0, 1, 1, 3])),
    "by_face": lambda: incidence(X[:3], by_face=torch.tensor([0, 1, 2, 2**40])),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", [1, 700, 12_345, 20_000, 39_999])
@pytest.mark.parametrize("value", [-1, 0, 2**40])
def test_one_bad_ptr_among_many(where: int, value: int, name: str) -> None:
    ptr = 2 * torch.arange(40_001)
    ptr[where] = value if where > 1 or value else -5
    with implementation(name), pytest.raises(ValueError, match="must rise"):
        kernels.segment_reduce(torch.ones(80_000, 2), ptr)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", BAD_VALUES)
def test_bad_values(what: str, name: str) -> None:
    with implementation(name), pytest.raises(ValueError, match=r"(must lie in|must rise).*got"):
        BAD_VALUES[what]()


BAD_ARGUMENTS = {
    "x is a list": (TypeError, "x must be a tensor, got list", lambda: segment_reduce([1], PTR)),
    "integer x": (TypeError, "floating point, got torch.int64", lambda: segment_reduce(INDEX, PTR)),
    "scalar x": (ValueError, "leading dimension", lambda: segment_softmax(torch.tensor(1.0), PTR)),
    "float ptr": (
        TypeError,
        "ptr must be int64 or int32, got torch.float",
        lambda: segment_reduce(X, PTR.float()),
    ),
    "empty ptr": (ValueError, "got 0 entries", lambda: segment_reduce(X, PTR[:0])),
    "matrix index": (
        ValueError,
        r"vector, got shape \(4, 1\)",
        lambda: scatter_reduce(X, INDEX[:, None], 3),
    ),
    "short index": (
        ValueError,
        "index must have 4 entries, got 2",
        lambda: scatter_reduce(X, INDEX[:2], 3),
    ),
    "negative size": (
        ValueError,
        "num_segments must not be negative, got -1",
        lambda: scatter_reduce(X, INDEX, -1),
    ),
    "fraction": (
        TypeError,
        "num_segments must be a whole number, got 2.5",
        lambda: scatter_reduce(X, INDEX, 2.5),
    ),
    "fraction of keys": (
        TypeError,
        "num_keys must be a whole number, got 2.5",
        lambda: kernels.sort_by_key(INDEX, 2.5),
    ),
    "truth value": (
        TypeError,
        "num_keys must be a whole number, got True",
        lambda: kernels.sort_by_key(INDEX, True),
    ),
    "reduce": (
        ValueError,
        "one of sum, mean, max, min; got 'prod'",
        lambda: segment_reduce(X, PTR, "prod"),
    ),
    "weight shape": (
        ValueError,
        r"weight must have shape \(4,\), got \(3,\)",
        lambda: gather_reduce(X, INDEX, PTR, X[0]),
    ),
    "weight dtype": (
        TypeError,
        "weight must be integer or torch.float32",
        lambda: gather_reduce(X, INDEX, PTR, X[:, 0].double()),
    ),
    "mixed indices": (TypeError, "expected one dtype", lambda: gather_reduce(X, INDEX, PTR.int())),
    "activation": (
        ValueError,
        "activation must be one of .*got 'gelu'",
        lambda: coface(X[:3], X[:2], activation="gelu"),
    ),
    "neither p nor q": (ValueError, "both None", lambda: coface(None, None)),
    "rows of p": (ValueError, "p must have 3 rows, got 4", lambda: coface(X, X[:2])),
    "rows of q": (ValueError, "q must have 2 rows, got 4", lambda: coface(X[:3], X)),
    "p unlike q": (ValueError, "share dtype and channels", lambda: coface(X[:3], X[:2, :1])),
    "rows of x": (ValueError, "x must have 3 rows, got 4", lambda: incidence(X, transpose=True)),
}


@pytest.mark.parametrize("what", BAD_ARGUMENTS)
def test_bad_arguments(what: str) -> None:
    error, message, call = BAD_ARGUMENTS[what]
    with pytest.raises(error, match=message):
        call()


OPTIONAL = {
    ("gather_reduce", "weight"), ("incidence_matmul", "sign"), ("coface_message", "p"),
    ("coface_message", "q"), ("block_matmul", "diagonal"), ("segment_weights", "order"),
    ("stalk_linear", "left"), ("stalk_linear", "right"), ("diffusion_step", "left"),
    ("diffusion_step", "right"), ("diffusion_step", "diagonal"), ("norm_linear", "bias"),
    ("norm_linear", "count"),
}  # fmt: skip


@pytest.mark.parametrize("kind", [None, list, np.asarray])
@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_tensor(call, kind):
    run, arguments = CALLS[call]
    for name, tensor in arguments.items():
        if tensor is None or (kind is None and (call.split()[0], name) in OPTIONAL):
            continue
        wrong = None if kind is None else kind(tensor.numpy())
        # gamma and beta are called weight and bias by Norm
        with pytest.raises(TypeError, match=f"(?:{name}|weight|bias) must be a tensor"):
            run(**arguments | {name: wrong})


def test_whole_numbers_of_other_types():
    for three in (np.int64(3), torch.tensor(3)):
        assert scatter_reduce(X, INDEX, three).shape == (3, 3)
        assert len(kernels.sort_by_key(INDEX, three)[0]) == 4


NOTHING = torch.zeros(0, 3)
POINTLESS = {
    "scatter": lambda: scatter_reduce(X, INDEX, 0),
    "sort": lambda: kernels.sort_by_key(INDEX, 0),
    "gather": lambda: kernels.gather(NOTHING, INDEX),
    "gather_reduce": lambda: gather_reduce(NOTHING, INDEX, PTR, reduce="max"),
    "edge_dot": lambda: kernels.edge_dot(X[:2, None], NOTHING[:, None], INDEX, PTR),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", POINTLESS)
def test_entries_that_have_nothing_to_point_to(what, name):
    with implementation(name), pytest.raises(ValueError, match="there are no rows"):
        POINTLESS[what]()


@pytest.mark.parametrize("name", NAMES)
def test_segments_and_colours_out_of_range(name):
    long = torch.arange
    with implementation(name):
        with pytest.raises(ValueError, match="which must be empty"):
            kernels.select_segments(torch.tensor([0]), INDEX, INDEX)
        with pytest.raises(ValueError, match="ptr must have one entry more"):
            kernels.select_segments(INDEX[:0], INDEX, INDEX)
        with pytest.raises(ValueError, match="must rise"):
            kernels.select_segments(torch.tensor([0, 3, 2]), INDEX, torch.tensor([1]))
        with pytest.raises(ValueError, match="neighbour must be empty"):
            kernels.refine_colours(long(2), PTR, INDEX, INDEX[:0])
        with pytest.raises(ValueError, match="must lie in"):
            kernels.refine_colours(long(2), PTR, INDEX - 1, INDEX)
        with pytest.raises(ValueError, match="must rise"):
            kernels.refine_colours(long(2), torch.tensor([0, 5, 4]), INDEX, INDEX)
