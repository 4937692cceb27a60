"""Triton kernels for GPUs, where Triton is installed and there is a GPU.

With ``TRITON_INTERPRET=1`` in the environment they also run, very slowly, on the CPU: for tests.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import torch

from topodiff.kernels.backend import Implementation

_DTYPES = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})


def load() -> Implementation:
    if find_spec("triton") is None:
        raise ImportError("Triton is not installed: pip install 'topodiff[gpu]'")
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if not interpreted and not torch.cuda.is_available():
        raise ImportError("PyTorch sees no GPU here; TRITON_INTERPRET=1 emulates one, very slowly")
    from topodiff.kernels import outer_triton, sheaf_triton, softmax_triton, weights_triton

    modules = (sheaf_triton, outer_triton, softmax_triton, weights_triton)
    table = {f.__name__: f for module in modules for f in module.OPERATIONS}
    devices = {"cuda", "cpu"} if interpreted else {"cuda"}
    return Implementation("triton", table, frozenset(devices), _DTYPES)
