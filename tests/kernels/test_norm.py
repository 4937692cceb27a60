"""Linear maps fused with normalisation: against plain PyTorch, derivatives, contracts, threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kernel_cases import COMPILED, implementation
from torch import Tensor
from torch.nn import functional

from topodiff import kernels
from topodiff.kernels import norm as fused
from topodiff.kernels.activations import activate

NAMES = ["reference", "cpu"] if COMPILED else ["reference"]
SHAPES = [  # rows, groups, in, out
    (1, 1, 1, 1),
    (2, 1, 3, 5),
    (7, 2, 5, 3),
    (13, 1, 16, 32),
    (97, 2, 17, 33),
    (200, 3, 48, 48),
    (2500, 2, 20, 24),
]
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-11}


def inputs(rows: int, groups: int, width: int, out: int, dtype=torch.float64) -> list[Tensor]:
    """x, mean, var, gamma, beta, weight, bias; columns far from zero."""
    g = torch.Generator().manual_seed(rows)
    channels = groups * width
    shapes = [(rows, channels), *[(channels,)] * 4, (groups, out, width), (groups * out,)]
    tensors = [torch.randn(s, generator=g, dtype=torch.float64) for s in shapes]
    tensors[0] += 3
    tensors[2] = tensors[2].abs() + 0.5
    return [t.to(dtype).requires_grad_() for t in tensors]


def run(
    x: Tensor, mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor, weight: Tensor, bias: Tensor,
    activation: str = "silu", normalised: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    norm = kernels.Norm(mean, var, gamma, beta) if normalised else None
    return kernels.norm_linear(x, weight, bias, norm, activation, statistics=True)


def plain(
    x: Tensor, mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor, weight: Tensor, bias: Tensor,
    activation: str = "silu", normalised: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    if normalised:
        x = (x - mean) / torch.sqrt(var + 1e-5) * gamma + beta
    parts = activate(x, activation).chunk(len(weight), 1)
    y = torch.cat([functional.linear(h, w) for h, w in zip(parts, weight, strict=True)], 1) + bias
    return y, y.mean(0), y.var(0, correction=0)


def assert_same(ours: list, theirs: list, tolerance: float) -> None:
    for a, b in zip(ours, theirs, strict=True):
        if b is None:
            assert a is None
            continue
        scale = max(1.0, float(b.detach().abs().max()))
        torch.testing.assert_close(a / scale, b / scale, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("activation", "normalised"),
    [("relu", True), ("silu", True), ("identity", False), ("elu", False), ("tanh", True)],
)
def test_equals_plain_pytorch(name, dtype, shape, activation, normalised):
    tensors = inputs(*shape, dtype)
    with implementation(name):
        ours = run(*tensors, activation, normalised)
        theirs = plain(*tensors, activation, normalised)
        assert_same(list(ours), list(theirs), TOLERANCE[dtype])
        g = torch.Generator().manual_seed(0)
        grads = [torch.randn(t.shape, generator=g, dtype=torch.float64).to(dtype) for t in ours]
        found = [torch.autograd.grad(o, tensors, grads, allow_unused=True) for o in (ours, theirs)]
    assert_same(*map(list, found), 5 * TOLERANCE[dtype])


@pytest.mark.parametrize("name", NAMES)
def test_chain_is_batch_normalisation(name):
    x, _, _, gamma, beta, weight, bias = inputs(50, 1, 8, 8)
    with implementation(name):
        y, mean, var = kernels.norm_linear(x, weight, bias, statistics=True)
        ours = kernels.norm_activation(y, kernels.Norm(mean, var, gamma, beta), "relu")
    z = functional.linear(x, weight[0], bias)
    theirs = functional.batch_norm(z, None, None, gamma, beta, training=True).relu()
    torch.testing.assert_close(ours, theirs)
    leaves, g = [x, gamma, beta, weight], torch.randn_like(x)
    with implementation(name):
        found = torch.autograd.grad(ours, leaves, g)
    for a, b in zip(found, torch.autograd.grad(theirs, leaves, g), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_counted_rows_are_repeated_rows(name, shape):
    x, *others, weight, bias = inputs(*shape)
    count = torch.randint(1, 4, (len(x),), generator=torch.Generator().manual_seed(0))
    leaves, norm = [x, *others, weight, bias], kernels.Norm(*others)
    with implementation(name):
        repeated = kernels.norm_linear(
            x.repeat_interleave(count, 0), weight, bias, norm, "silu", statistics=True
        )
        counted = kernels.norm_linear(
            x, weight, bias, norm, "silu", statistics=True, count=count.to(x.dtype)
        )
        assert_same(list(counted[1:]), list(repeated[1:]), 1e-11)
        spread = counted[0].repeat_interleave(count, 0)
        assert_same([spread], [repeated[0]], 1e-11)
        found = [
            torch.autograd.grad(y.square().sum() + (mean * var).sum(), leaves)
            for y, mean, var in ((spread, *counted[1:]), repeated)
        ]
    assert_same(*map(list, found), 1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_with_counted_rows(name):
    tensors = inputs(5, 2, 3, 2)
    count = torch.tensor([1, 2, 1, 3, 5], dtype=torch.float64)

    def counted(x, *vectors):
        *norm, weight, bias = vectors
        return kernels.norm_linear(x, weight, bias, kernels.Norm(*norm), "silu", True, count)

    with implementation(name):
        assert torch.autograd.gradcheck(counted, tensors)
        assert torch.autograd.gradgradcheck(counted, tensors)


@pytest.mark.parametrize("name", NAMES)
def test_variance_of_columns_far_from_zero(name):
    x = torch.randn(3000, 4, generator=torch.Generator().manual_seed(0)) + 1000
    with implementation(name):
        _, mean, var = kernels.norm_linear(x, torch.eye(4).unsqueeze(0), statistics=True)
    torch.testing.assert_close(mean.double(), x.double().mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(var.double(), x.double().var(0, correction=0), rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_derivatives(name):
    tensors = inputs(5, 2, 3, 2)
    with implementation(name):
        assert torch.autograd.gradcheck(run, tensors)
        assert torch.autograd.gradgradcheck(run, tensors)

        def activation(x, *vectors):
            return kernels.norm_activation(x, kernels.Norm(*vectors), "tanh")

        assert torch.autograd.gradcheck(activation, tensors[:5])
        assert torch.autograd.gradgradcheck(activation, tensors[:5])


@pytest.mark.parametrize("name", NAMES)
def test_only_gradients_that_are_asked_for(name):
    for k in (0, 4, 5, 6):
        tensors = [t.detach() for t in inputs(6, 2, 3, 2)]
        tensors[k].requires_grad_()
        with implementation(name):
            (ours,) = torch.autograd.grad(run(*tensors)[0].square().sum(), tensors[k])
        (theirs,) = torch.autograd.grad(plain(*tensors)[0].square().sum(), tensors[k])
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_operators_of_the_library(name):
    x, *vectors, weight, bias = inputs(6, 2, 3, 2)
    with implementation(name):
        for count in (None, torch.arange(1.0, 7, dtype=x.dtype)):
            arguments = (x, *vectors, weight, bias, 1e-5, "silu", True, count)
            torch.library.opcheck(fused._norm_linear.overload, arguments)
        torch.library.opcheck(fused._norm_activation.overload, (x, *vectors, 1e-5, "silu"))
        y, mean, var = (t.detach() for t in run(x, *vectors, weight, bias))
        inner = [t.detach() for t in (x, *vectors)]
        torch.library.opcheck(
            fused._norm_linear_backward.overload,
            (y, mean, var, *inner, weight.detach(), y, mean, 1e-5, "silu", True, True, count),
        )
        torch.library.opcheck(
            fused._norm_activation_backward.overload, (inner[0], *inner, 1e-5, "silu")
        )


@pytest.mark.skipif(not COMPILED, reason="no compiled kernels")
def test_same_bits_on_any_number_of_threads():
    tensors = inputs(5000, 2, 24, 24, torch.float32)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            out = run(*tensors)
            results.append([*out, *torch.autograd.grad([t.sum() for t in out], tensors)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.skipif(not COMPILED, reason="no compiled kernels")
@pytest.mark.parametrize("instructions", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_instruction_set(instructions, shape):
    tensors = inputs(*shape)
    with implementation("cpu", instructions):
        ours = run(*tensors)
        found = torch.autograd.grad([t.sum() for t in ours], tensors)
    theirs = plain(*tensors)
    expected = torch.autograd.grad([t.sum() for t in theirs], tensors)
    assert_same([*ours, *found], [*theirs, *expected], 1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_strided_rows(name):
    _, *vectors, weight, bias = inputs(4, 2, 3, 5)
    wide = torch.randn(4, 12, dtype=torch.float64)
    with implementation(name):
        y, _, _ = kernels.norm_linear(wide[:, ::2], weight, bias)
        torch.testing.assert_close(
            y, plain(wide[:, ::2], *vectors, weight, bias, "identity", False)[0]
        )


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_have_gradients_of_zero(name):
    _, *vectors, weight, bias = inputs(4, 2, 3, 5)
    empty = torch.zeros(0, 6, dtype=torch.float64, requires_grad=True)
    with implementation(name):
        out, _, _ = kernels.norm_linear(empty, weight, bias, kernels.Norm(*vectors), "relu")
        assert out.shape == (0, 10)
        gradients = torch.autograd.grad(out.sum(), [empty, *vectors, weight, bias])
        out = kernels.norm_activation(empty, kernels.Norm(*vectors), "relu")
        assert out.shape == (0, 6)
        gradients += torch.autograd.grad(out.sum(), [empty, *vectors])
    assert all(bool((g == 0).all()) for g in gradients)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rows", "counted"), [(0, False), (0, True), (3, True)])
def test_statistics_of_nothing_are_zero(name, rows, counted):
    *_, weight, bias = inputs(4, 2, 3, 5)
    x = torch.randn(rows, 6, dtype=torch.float64, requires_grad=True)
    count = torch.zeros(rows, dtype=torch.float64) if counted else None
    with implementation(name):
        run = lambda *t: kernels.norm_linear(*t, None, "silu", True, count)[1:]  # noqa: E731
        moments = run(x, weight, bias)
        found = torch.autograd.grad([m.sum() for m in moments], [x, weight, bias])
        assert torch.autograd.gradgradcheck(run, (x, weight, bias))
    assert all(bool((t == 0).all()) for t in (*moments, *found))


@pytest.mark.parametrize("where", ["bias", "count", "norm.mean", "norm.var", "norm.bias"])
@pytest.mark.parametrize("wrong", [torch.ones(1, 1, 1), torch.ones(7), torch.ones(())])
def test_vectors_of_another_shape(where, wrong):
    """Those of three dimensions were read out of bounds."""
    x, *vectors, weight, bias = (t.float() for t in inputs(6, 2, 3, 2))
    norm = kernels.Norm(*vectors)
    others = {"bias": bias, "norm": norm, "count": torch.ones(6)}
    *of_norm, name = where.split(".")
    others |= {"norm": norm._replace(**{name: wrong})} if of_norm else {name: wrong}
    with pytest.raises(ValueError, match=f"^{name} must have shape"):
        kernels.norm_linear(x, weight, statistics=True, **others)
    if of_norm:
        with pytest.raises(ValueError, match=f"^{name} must have shape"):
            kernels.norm_activation(x, others["norm"])


def test_mistakes_are_reported():
    x, *vectors, weight, bias = inputs(6, 2, 3, 2)
    with pytest.raises(ValueError, match=r"x must be \(rows, groups \* in\)"):
        kernels.norm_linear(x[:, :5], weight, bias)
    with pytest.raises(ValueError, match=r"bias must have shape \(4,\), got \(3,\)"):
        kernels.norm_linear(x, weight, bias[:3])
    with pytest.raises(TypeError, match=r"weight must be torch\.float64"):
        kernels.norm_linear(x, weight.float(), bias)
    with pytest.raises(ValueError, match=r"weight must have shape \(6,\)"):
        kernels.norm_activation(x, kernels.Norm(*vectors[:2], vectors[2][:4], vectors[3]))
    with pytest.raises(ValueError, match="activation must be one of"):
        kernels.norm_activation(x, None, "gelu")
    with pytest.raises(TypeError, match="weight must be a tensor, got NoneType"):
        kernels.norm_linear(x, None, bias)
    with pytest.raises(TypeError, match="bias must be a tensor, got list"):
        kernels.norm_linear(x, weight, [0.0] * 4)
    with pytest.raises(TypeError, match="count must be a tensor, got ndarray"):
        kernels.norm_linear(x, weight, bias, count=np.ones(6))
    with pytest.raises(TypeError, match="mean must be a tensor, got NoneType"):
        kernels.norm_activation(x, kernels.Norm(None, *vectors[1:]))
