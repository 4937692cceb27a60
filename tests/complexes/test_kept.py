"""What is kept of a complex, and for how long."""

import torch

from topodiff.complexes import CellComplex, keep, kept


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


def test_it_is_forgotten_with_the_cells():
    before = len(kept._KEPT)
    K = triangle()
    keep(K, "key", object)
    assert len(kept._KEPT) == before + 1
    del K
    assert len(kept._KEPT) == before
