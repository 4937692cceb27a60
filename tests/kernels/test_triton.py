"""Triton kernels: in the interpreter, on a GPU, and through the compiler to machine code."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from topodiff import kernels
from topodiff.kernels import triton as loader

CHECKS = Path(__file__).with_name("triton_checks.py")
installed = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


def run_checks(interpret: str) -> None:
    """In a process of their own: Triton reads the variable once, as kernels are defined."""
    environment = {**os.environ, "TRITON_INTERPRET": interpret}
    environment.pop(kernels.backend.ENVIRONMENT_VARIABLE, None)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(CHECKS)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]


@installed
def test_in_the_interpreter():
    run_checks("1")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here")
@installed
def test_on_a_gpu():
    run_checks("0")


def test_says_why_it_cannot_run(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(loader, "find_spec", lambda name: name)
    with pytest.raises(ImportError, match="PyTorch sees no GPU"):
        loader.load()
    monkeypatch.setattr(loader, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'topodiff\[gpu\]'"):
        loader.load()


class Compiled:
    """Stands for a kernel: compiles it for the arguments of a launch, and runs nothing."""

    def __init__(self, kernel: object, capability: int) -> None:
        self.kernel, self.capability, self.binaries = kernel, capability, []

    def __getitem__(self, grid: tuple[int, ...]):
        assert 0 < len(grid) <= 2
        return self.launch

    def launch(self, *arguments: object, num_warps: int) -> None:
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource, compile

        pointers = {torch.float32: "*fp32", torch.float64: "*fp64", torch.bfloat16: "*bf16",
                    torch.int32: "*i32", torch.int64: "*i64"}  # fmt: skip
        signature, constants = {}, {}
        for parameter, value in zip(self.kernel.params, arguments, strict=True):
            kind = pointers[value.dtype] if isinstance(value, torch.Tensor) else "i32"
            if parameter.is_constexpr:
                kind, constants[parameter.name] = "constexpr", value
            signature[parameter.name] = kind
        source = ASTSource(self.kernel, signature, constants)
        target = GPUTarget("cuda", self.capability, 32)
        compiled = compile(source, target=target, options={"num_warps": num_warps})
        self.binaries.append(compiled.asm["cubin"])


@pytest.fixture
def compiled(monkeypatch, tmp_path):
    pytest.importorskip("triton")
    from topodiff.kernels import outer_triton, sheaf_triton, softmax_triton, weights_triton

    if not hasattr(sheaf_triton._segments, "params"):
        pytest.skip("TRITON_INTERPRET=1 leaves nothing to compile")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    found = []
    for module, name in [(sheaf_triton, "_segments"), (outer_triton, "_outer"),
                         (outer_triton, "_products"), (softmax_triton, "_softmax"),
                         (softmax_triton, "_softmax_backward"), (weights_triton, "_weights"),
                         (weights_triton, "_weights_backward")]:  # fmt: skip
        found.append(Compiled(getattr(module, name), 90))
        monkeypatch.setattr(module, name, found[-1])
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_compiles_for_a_gpu_without_one(compiled, dtype):
    from topodiff.kernels import outer_triton, sheaf_triton, softmax_triton, weights_triton

    index = torch.int32 if dtype is torch.float64 else torch.int64
    ptr, perm = torch.tensor([0, 2, 4]).to(index), torch.arange(4).to(index)
    x, grad = torch.ones(2, 3, 40, dtype=dtype), torch.ones(2, 3, 40, dtype=dtype)
    for form in (1, 2, 3):
        blocks = torch.ones(2, *[3] * (form - 1), dtype=dtype)
        sheaf_triton.block_matmul(x, blocks, blocks, perm, ptr, perm)
        outer_triton.block_outer(grad, x, perm, ptr, perm, form)
        sheaf_triton.sheaf_sum(x, blocks, perm, perm, ptr, ptr, perm, form == 3)
    sheaf_triton.segment_sum(x, ptr, True)
    sheaf_triton.gather_sum(x, perm, ptr, perm, False)
    outer_triton.small_matmul(x[:, :, :3], x[:, :, :3], True, False)
    softmax_triton.segment_softmax(x, ptr)
    softmax_triton.segment_softmax_backward(grad, x, ptr)
    for squash in kernels.SQUASHES:
        for order in (None, perm):
            weights_triton.segment_weights(x[0], order, ptr, squash)
            weights_triton.segment_weights_backward(grad[0, :, 0], x[0], order, ptr, squash)
    assert [len(kernel.binaries) for kernel in compiled] == [8, 3, 1, 1, 1, 6, 6]
    assert all(binary for kernel in compiled for binary in kernel.binaries)
