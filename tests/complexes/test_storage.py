"""Files: round trip, damage, permissions."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from safetensors.torch import save_file
from spaces import cube, torus_7

from topodiff.complexes import CellComplex, batch
from topodiff.complexes.files import replacing
from topodiff.testing import assert_complex_equal
from topodiff.testing.strategies import batches, complexes, with_data


@given(batches())
def test_unions_come_back(tmp_path, union):
    union.save(tmp_path / "union")
    assert_complex_equal(CellComplex.load(tmp_path / "union"), union)


@given(complexes())
def test_complexes_come_back(tmp_path, complex):
    complex.save(str(tmp_path / "complex"))
    assert_complex_equal(CellComplex.load(str(tmp_path / "complex")), complex)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.int8, torch.bool])
def test_any_dtype_and_layout(tmp_path, kind):
    complex = torus_7().replace(x={0: torch.randn(3, 7).to(kind).T}, y=torch.full((1,), torch.nan))
    complex.save(tmp_path / "k")
    assert_complex_equal(CellComplex.load(tmp_path / "k"), complex)


def test_what_files_cannot_hold_is_named(tmp_path):
    complex = cube(2).replace(x={0: torch.zeros(4, 1, dtype=torch.complex128)})
    with pytest.raises(TypeError, match=r"hold no torch\.complex128: convert"):
        complex.save(tmp_path / "complex")
    assert not list(tmp_path.iterdir())


def test_gradients_do_not_hinder(tmp_path):
    complex = torus_7().replace(x={0: torch.ones(7, 2, requires_grad=True)})
    complex.save(tmp_path / "k")
    assert CellComplex.load(tmp_path / "k").equals(complex)


def test_saving_leaves_one_ordinary_file(tmp_path):
    before = os.umask(0o022)
    try:
        torus_7().save(tmp_path / "k")
        cube(3).save(tmp_path / "k")
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == ["k"]
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o644
    assert CellComplex.load(tmp_path / "k").equals(cube(3))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with contextlib.suppress(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old"
    link = tmp_path / "link"
    link.symlink_to(path)
    with replacing(link) as temporary:
        temporary.write_text("new")
        with ThreadPoolExecutor(1) as pool:  # of the same process, at the same time
            pool.submit(lambda: cube(3).save(path)).result()
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "link"]


def test_no_byte_can_change_unnoticed(tmp_path):
    path = tmp_path / "k"
    complex = with_data(batch([torus_7(), cube(1)]))
    complex.save(path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for place in [*range(0, header, 3), *range(header, len(content), 37), len(content) - 1]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        # either refused, or what changed does not matter, such as the padding of the header
        with contextlib.suppress(ValueError):
            assert CellComplex.load(path).equals(complex), place


@pytest.mark.parametrize("keep", [0, 4, 8, 200, -1])
def test_truncated_files_are_refused(tmp_path, keep):
    path = tmp_path / "k"
    torus_7().save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="damaged"):
        CellComplex.load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "k"
    path.write_text("smiles,y\nC,1\n" * 100)
    with pytest.raises(ValueError, match="damaged or not a safetensors file"):
        CellComplex.load(path)
    save_file({"x": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match="does not hold a topodiff complex"):
        CellComplex.load(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        CellComplex.load(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="no folder"):
        torus_7().save(tmp_path / "absent" / "k")
