"""Which implementation runs: context manager, environment variable, fallbacks."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator

import pytest
import torch
from kernel_cases import COMPILED

import topodiff
from topodiff import kernels
from topodiff.kernels import backend


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_reference_is_always_there() -> None:
    assert kernels.available()[0] == "reference"
    assert kernels.why_unavailable("reference") is None


def fail_inside() -> None:
    assert kernels.active() == "reference"
    raise ValueError("inside")


def test_use_is_undone_after_an_error() -> None:
    before = kernels.active()
    with pytest.raises(ValueError, match="inside"), kernels.use("reference"):
        fail_inside()
    assert kernels.active() == before


def test_use_reaches_the_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise LookupError("reached")

    table = backend.Implementation("reference", {"segment_sum": failing})
    monkeypatch.setitem(backend._loaded, "reference", table)
    x, ptr = torch.ones(2, 2), torch.tensor([0, 2])
    with kernels.use("reference"), pytest.raises(LookupError, match="reached"):
        kernels.segment_reduce(x, ptr)
    if COMPILED:
        assert kernels.segment_reduce(x, ptr).tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize("name", ["cuda", ""])
def test_unknown_name(name: str) -> None:
    with pytest.raises(ValueError, match="expected one of reference, cpu"), kernels.use(name):
        pass


def test_what_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backend._loaded, "cpu", "no compiler was found")
    assert "cpu" not in kernels.available()
    assert kernels.why_unavailable("cpu") == "no compiler was found"
    with pytest.raises(ValueError, match="no compiler was found"), kernels.use("cpu"):
        pass


@pytest.fixture
def nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(backend._loaded, "cpu", "no compiler was found")
    monkeypatch.setattr(backend, "_warned", False)
    backend._forget()
    yield
    backend._forget()


@pytest.mark.usefixtures("nothing_compiled")
def test_missing_module_warns_once_and_runs_on_the_reference() -> None:
    x, ptr = torch.ones(2, 2), torch.tensor([0, 2])
    with pytest.warns(UserWarning, match="reference kernels: no compiler was found"):
        kernels.segment_reduce(x, ptr)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernels.segment_softmax(x, ptr).tolist() == [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.usefixtures("nothing_compiled")
@pytest.mark.parametrize(
    "lift",
    [
        lambda: topodiff.from_smiles("c1ccccc1").shape,
        lambda: topodiff.liftings.RingLifting()(torch.tensor([range(6), [1, 2, 3, 4, 5, 0]])).shape,
    ],
    ids=["molecule", "rings"],
)
def test_missing_module_is_said_once_where_there_are_no_kernels(lift) -> None:
    with pytest.warns(UserWarning, match="reference kernels: no compiler was found"):
        assert lift() == (6, 6, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lift()
        with kernels.use("reference"):
            lift()


def test_environment_variable() -> None:
    code = "from topodiff import kernels; print(kernels.active())"
    assert python(code, TOPODIFF_KERNELS="reference").stdout.strip() == "reference"
    failed = python(code, TOPODIFF_KERNELS="abacus")
    assert failed.returncode
    assert "unknown kernels 'abacus'" in failed.stderr


@pytest.mark.skipif(not COMPILED, reason="the compiled kernels are not built")
def test_instruction_set_variable() -> None:
    code = "from topodiff.kernels import instruction_set as f; print(f())"
    assert python(code, TOPODIFF_INSTRUCTION_SET="baseline").stdout.strip() == "baseline"
    failed = python(code, TOPODIFF_INSTRUCTION_SET="mmx")
    assert failed.returncode
    assert "instruction set 'mmx'" in failed.stderr


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_dtypes_run_on_the_reference(dtype: torch.dtype) -> None:
    x = torch.tensor([[1.0], [2.0], [3.0]], dtype=dtype)
    out = kernels.segment_reduce(x, torch.tensor([0, 1, 3]))
    assert out.dtype is dtype
    assert out.flatten().tolist() == [1.0, 5.0]
