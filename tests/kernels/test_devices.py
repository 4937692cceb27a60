"""Tensors on different devices are refused: a kernel would read them at random."""

from __future__ import annotations

import pytest
import torch
from kernel_calls import CALLS
from kernel_cases import COMPILED, implementation

from topodiff import kernels as k

NAMES = ["reference", "cpu"] if COMPILED else ["reference"]
PLACES = [
    (call, name)
    for call, (_, a) in CALLS.items()
    for name, tensor in a.items()
    if tensor is not None
]


def test_every_operation_of_several_tensors_is_here():
    of_one = {"cayley", "dropout", "reflections", "rotation", "sort_by_key"}
    others = {"Norm", "active", "available", "draw_seed", "instruction_set", "use"}
    others |= {"ACTIVATIONS", "SQUASHES", "why_unavailable"}
    assert {call.split()[0] for call in CALLS} == set(k.__all__) - of_one - others


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call", CALLS)
def test_one_device_is_fine(call, name):
    run, arguments = CALLS[call]
    with implementation(name):
        found = run(**arguments)
    found = found if isinstance(found, tuple) else (found,)
    assert all(t.device.type == "cpu" for t in found if t is not None)
    assert any(t is not None for t in found)


@pytest.mark.parametrize("recorded", [False, True], ids=["", "recorded"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("call", "where"), PLACES)
def test_one_tensor_on_another_device(call, where, name, recorded):
    run, arguments = CALLS[call]
    arguments = {
        n: t.detach().requires_grad_(recorded and t.is_floating_point()) if t is not None else None
        for n, t in arguments.items()
    }
    arguments[where] = arguments[where].to("meta")
    message = "one device, got .* on (cpu and .* on meta|meta and .* on cpu): move"
    with implementation(name), pytest.raises(ValueError, match=message):
        run(**arguments)


@pytest.mark.parametrize("call", ["block_matmul", "coface_message", "norm_activation"])
def test_one_tensor_on_another_device_through_the_dispatcher(call):
    run, arguments = CALLS[call]
    batched = {n: t.expand(2, *t.shape) for n, t in arguments.items()}
    first, last = next(iter(batched)), next(reversed(batched))
    batched[last] = batched[last].to("meta")
    in_dims = tuple(0 if n == first else None for n in batched)
    batched |= {n: t[0] for n, t in batched.items() if n != first}
    with pytest.raises(ValueError, match="one device"):
        torch.vmap(lambda *a: run(**dict(zip(batched, a, strict=True))), in_dims)(*batched.values())
