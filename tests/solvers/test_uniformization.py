"""Mixing laws, symmetric or not, against matrix exponentials; their gradients and their faults."""

import pytest
import torch
from solver_cases import exact, laplacian, state

from topodiff.dynamics import AttentionDiffusion, Entries, Heat, normalize
from topodiff.solvers import diffuse
from topodiff.solvers.uniformization import _terms, _weights

N = 12


def entries():
    generator = torch.Generator().manual_seed(0)
    row, column = torch.randint(N, (2, 60), generator=generator)
    own = torch.arange(N)
    return Entries.from_pairs(torch.cat([row, own]), torch.cat([column, own]), N)


def weights(normalization, seed=1):
    e = entries()
    generator = torch.Generator().manual_seed(seed)
    raw = torch.rand(e.nnz, generator=generator, dtype=torch.float64) + 0.1
    return e, normalize(e, raw, normalization)


def dense(e, weight):
    out = torch.zeros(N, N, dtype=weight.dtype)
    return out.index_put((e.row, e.index), weight, accumulate=True)


def solution(e, weight, x, rate, source, strength, t):
    """From the exponential of ``[[B, c], [0, 0]]``, one channel at a time."""
    B = rate * (dense(e, weight) - torch.eye(N, dtype=x.dtype))
    out = []
    for k in range(x.shape[1]):
        c = strength * source[:, k : k + 1]
        top = torch.cat([B, c], 1)
        whole = torch.cat([top, torch.zeros(1, N + 1, dtype=x.dtype)])
        y = torch.cat([x[:, k], torch.ones(1, dtype=x.dtype)])
        out.append((torch.linalg.matrix_exp(t * whole) @ y)[:N])
    return torch.stack(out, 1)


def inputs(normalization):
    e, weight = weights(normalization)
    generator = torch.Generator().manual_seed(2)
    x, s = torch.randn(2, N, 3, generator=generator, dtype=torch.float64)
    numbers = [torch.tensor(v, dtype=torch.float64) for v in (0.7, 0.3, 2.5)]
    return e, [v.clone().requires_grad_() for v in (weight, x, s, *numbers)]


@pytest.mark.parametrize("normalization", ["row", "col"])
@pytest.mark.parametrize("own", [False, True])
def test_values_and_gradients(normalization, own):
    e, (weight, x, s, rate, strength, t) = inputs(normalization)
    s = x if own else s
    law = AttentionDiffusion(e, weight, rate=rate, source=s, strength=strength)
    found = diffuse(law, x, t, "uniformization", tol=1e-13)
    wanted = solution(e, weight, x, rate, s, strength, t)
    assert found.status == "ok"
    torch.testing.assert_close(found.x, wanted, rtol=1e-10, atol=1e-10)
    variables = [weight, x, rate, strength, t, *([] if own else [s])]
    goal = torch.randn(N, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    ours = torch.autograd.grad((found.x * goal).sum(), variables)
    theirs = torch.autograd.grad((wanted * goal).sum(), variables)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


def test_saved_states_and_long_times():
    e, weight = weights("row")
    x = torch.randn(N, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    law = AttentionDiffusion(e, weight, rate=2.0)
    whole = diffuse(law, x, 400.0, "uniformization", save_at=[0.0, 1.0, 400.0])
    assert torch.equal(whole.x[0], x)
    torch.testing.assert_close(whole.x[1], diffuse(law, x, 1.0, "uniformization").x)
    # 800 jumps: no weight underflows, constants are reached, and no feature leaves its bounds
    last = whole.x[2]
    torch.testing.assert_close(last, last[:1].expand_as(last), atol=1e-10, rtol=0)
    assert bool((last >= x.min(0).values).all() and (last <= x.max(0).values).all())


@pytest.mark.parametrize("own", [False, True])
def test_many_times_from_the_same_powers(own):
    """Values and gradients are those of one time alone, at the cost of the last."""
    e, (weight, x, s, rate, strength, t) = inputs("row")
    s = x if own else s
    law = AttentionDiffusion(e, weight, rate=rate, source=s, strength=strength)
    times = [0.1 * t, t, 1.5 * t, 400 * t, 401 * t, 420 * t]
    found = diffuse(law, x, times[-1], "uniformization", save_at=times, tol=1e-12)
    alone = [diffuse(law, x, end, "uniformization", tol=1e-12) for end in times]
    wanted = torch.stack([solution.x for solution in alone])
    torch.testing.assert_close(found.x, wanted, rtol=1e-9, atol=1e-9)
    variables = [weight, x, rate, strength, t, *([] if own else [s])]
    goal = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    ours = torch.autograd.grad((found.x * goal).sum(), variables, retain_graph=True)
    theirs = torch.autograd.grad((wanted * goal).sum(), variables)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-7)
    few = diffuse(law, x, 1.5 * t, "uniformization", save_at=times[:3], tol=1e-12)
    assert few.stats.evaluations == alone[2].stats.evaluations * (1 if own else 2)


def test_symmetric_operators():
    L = laplacian("combinatorial")
    x = state(L)
    wanted = exact(L, x, 0.8)
    torch.testing.assert_close(diffuse(L, x, 0.8, "uniformization", tol=1e-12).x, wanted)
    torch.testing.assert_close(diffuse(Heat(L), x, 0.8, "uniformization", tol=1e-12).x, wanted)


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-12])
@pytest.mark.parametrize("mean", [0.01, 1.0, 9.0, 250.0])
def test_what_the_series_leave_out(mean, tol):
    count = _terms(mean, tol)
    p, q = _weights(mean, count + 400)
    assert float(p[count + 1 :].sum()) <= tol + 1e-14
    assert float(q[count + 1 :].sum()) / mean <= tol + 1e-12 / mean
    assert float(p[count:].sum()) > tol / 10 or count == 0


def test_what_cannot_be_solved():
    e, weight = weights("row")
    x = torch.ones(N, 1, dtype=torch.float64)
    for law, t in (
        (AttentionDiffusion(e, 1.5 * weight), 1.0),
        (AttentionDiffusion(e, lambda t, x, e: weight), 1.0),
        (laplacian("random_walk"), 1.0),
        (lambda t, x: -x, 1.0),
    ):
        start = state(law) if law.__class__.__name__ == "GraphLaplacian" else x
        with pytest.raises(ValueError, match="uniformization needs a law"):
            diffuse(law, start, t, "uniformization")
    law = AttentionDiffusion(e, weight, rate=0.0)
    with pytest.raises(ValueError, match="positive rate"):
        diffuse(law, x, 1.0, "uniformization")
    law = AttentionDiffusion(e, weight)
    with pytest.raises(ValueError, match="callback"):
        diffuse(law, x, 1.0, "uniformization", callback=lambda t, x: False)
    assert diffuse(law, x, 50.0, "uniformization", max_terms=10).status == "max_steps"


@pytest.mark.parametrize("with_source", [False, True])
def test_auto_takes_it_for_linear_attention(with_source):
    e, weight = weights("row")
    x = torch.randn(N, 2, dtype=torch.float64)
    law = AttentionDiffusion(e, weight, rate=0.7, source=x if with_source else None)
    found, wanted = (diffuse(law, x, 3.0, solver) for solver in ("auto", "uniformization"))
    assert torch.equal(found.x, wanted.x)
    assert found.stats == wanted.stats
    # which makes no steps, and has no adjoint
    for options in ({"callback": lambda t, x: None}, {"backward": "adjoint"}):
        stepped = diffuse(law, x, 3.0, **options)
        assert stepped.stats.steps > 0
        torch.testing.assert_close(stepped.x, wanted.x, rtol=1e-5, atol=1e-6)
    for other in (
        AttentionDiffusion(e, 3 * weight),
        AttentionDiffusion(e, weight, rate=torch.tensor([0.5, 1.0]).double()),
        AttentionDiffusion(e, weight, rate=0.0),
        AttentionDiffusion(e, weight, rate=lambda t: t),
    ):
        assert diffuse(other, x, 0.5).stats.steps > 0
