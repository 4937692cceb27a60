"""What is kept of a complex, and for how long."""

import copy
import pickle
import subprocess
import sys
import weakref

import pytest
import torch

from topodiff.complexes import CellComplex, keep


def triangle() -> CellComplex:
    return CellComplex.from_simplices([[0, 1, 2]])


def test_it_is_made_once_for_the_cells_and_the_key():
    K, made = triangle(), []

    def make() -> list:
        made.append(0)
        return made

    for other in (K, K, K.replace(x={0: torch.ones(3, 1)})):
        assert keep(other, "key", make) is made
    assert len(made) == 1
    keep(K, "another key", make)
    keep(K, "key", make, rank=2)
    keep(triangle(), "key", make)
    assert len(made) == 4


def test_complexes_without_such_cells_keep_nothing():
    K = CellComplex.from_edges(3, torch.empty(2, 0, dtype=torch.long))
    first = keep(K.skeleton(0), "key", object)
    assert keep(K.skeleton(0), "key", object) is not first


def test_it_carries_no_gradient():
    weight = torch.ones(3, requires_grad=True)
    assert not keep(triangle(), "key", lambda: weight * 2).requires_grad


def test_it_outlasts_inference_mode():
    K = triangle()
    with torch.inference_mode():
        kept_tensor = keep(K, "key", lambda: torch.ones(3))
        i = K.incidence(1)
        of_incidence = [i.face, i.cell, i.face_ptr, i.by_face, i.cell_ptr, i.cell_by_face]
        relations = [*K.upper_adjacency(0), *K.lower_adjacency(1)]
    assert not any(t.is_inference() for t in (kept_tensor, *of_incidence, *relations))


def is_wrapped(t: torch.Tensor) -> bool:
    return torch._C._functorch.is_functorch_wrapped_tensor(t)


@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.vmap, torch.func.jacfwd])
@pytest.mark.parametrize("rank", [1, 5])
def test_it_outlasts_transforms_of_functions(transform, rank):
    K, found = triangle(), []

    def function(z: torch.Tensor) -> torch.Tensor:
        i = K.incidence(1)
        found.append(keep(K, "key", lambda: torch.ones(3) + i.face_ptr[:3], rank))
        found.extend([i.face, i.by_face, i.cell_by_face, *K.upper_adjacency(0)])
        return (z * found[0]).sum()

    transform(function)(torch.ones(3, 3) if transform is torch.func.vmap else torch.ones(3))
    assert not any(map(is_wrapped, found))
    assert found[0].tolist() == [1, 3, 5]


def test_names_inside_torch_may_change():
    code = (
        "import torch\n"
        "del torch._functorch.pyfunctorch.temporarily_clear_interpreter_stack\n"
        "import topodiff as td\n"
        "K = td.CellComplex.from_simplices([[0, 1, 2]])\n"
        "print(td.nn.CIN({0: 1}, 4, 1)(K.replace(x={0: torch.ones(3, 1)})).shape)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "torch.Size([1, 1])" in run.stdout, run.stderr


def test_compiled_code_does_not_depend_on_what_others_keep():
    def function(K: CellComplex) -> torch.Tensor:
        return keep(K, "degree", lambda: K.incidence(1).face_ptr.diff()) * K.x[0][:, 0]

    def complex(n: int) -> CellComplex:
        K = CellComplex.from_simplices([[i, (i + 1) % n] for i in range(n)])
        return K.replace(x={0: torch.ones(n, 1)})

    K, others = complex(4), [complex(5), complex(6)]
    for other in (K, *others):
        function(other)
    compiled = torch.compile(function, backend="eager")
    assert torch.equal(compiled(K), torch.full((4,), 2.0))
    del other, others[:]
    with torch.compiler.set_stance("fail_on_recompile"):
        assert torch.equal(compiled(K), torch.full((4,), 2.0))


def test_it_is_forgotten_with_the_cells():
    K = triangle()
    found = weakref.ref(keep(K, "key", lambda: torch.ones(3)))
    assert found() is not None
    del K
    assert found() is None


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda K: pickle.loads(pickle.dumps(K))])
def test_copies_keep_nothing(duplicate):
    K = triangle()
    keep(K, "key", lambda: lambda: 0)  # which has no pickle
    other = duplicate(K)
    assert keep(other, "key", lambda: 5) == 5
    assert keep(K, "key", lambda: 5) != 5
