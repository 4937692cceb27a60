"""Many molecules: workers, cache and progress change nothing but the time."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

from topodiff.molecules import (
    LiftSettings,
    MoleculeError,
    lift_all,
    lift_many,
    lifting_many,
    read_table,
    workers,
)

SMILES = [f"{'C' * (i % 9)}C1CC1{'O' * (i % 5 == 0)}" for i in range(1500)]
SMILES[700] = "C("
SMILES[1499] = ""
SETTINGS = LiftSettings()


def expected():
    lifted = lift_all(SMILES, SETTINGS)
    return lifted.arrays.to_complex("full"), lifted.failures


def assert_same(found):
    complexes, failures = expected()
    assert found.complexes.equals(complexes)
    assert found.failures == failures
    assert [i for i, _ in failures] == [700, 1499]


@pytest.mark.parametrize("num_workers", [0, 1, 2, 5])
def test_workers_change_nothing(num_workers):
    assert_same(lift_many(SMILES, SETTINGS, num_workers=num_workers, cache=False))


@pytest.mark.parametrize("num_workers", [-1, 1.5, True, None])
def test_bad_num_workers(num_workers):
    with pytest.raises(ValueError, match="num_workers"):
        lift_many(SMILES, SETTINGS, num_workers=num_workers)


def test_nothing_to_lift():
    assert lift_many([], SETTINGS).complexes.shape == (0, 0, 0)


def test_progress_is_drawn_where_asked(capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the stream for a terminal
    lift_many(SMILES[:600], SETTINGS, cache=False, progress=True)
    assert "Lifting molecules" in capfd.readouterr().err
    lift_many(SMILES[:600], SETTINGS, cache=False)
    assert capfd.readouterr().err == ""


def shorten(chunk, shared):
    if "poison" in chunk:
        os.kill(os.getpid(), signal.SIGKILL)
    return [shared + item for item in chunk]


def test_a_dying_worker_costs_one_item():
    chunks = [["a", "b"], ["c", "poison", "d"], ["e"], ["f", "g", "h"]]
    found = workers.map_in_workers(
        shorten,
        chunks,
        "+",
        2,
        lambda item, shared: [shared + item + " died"],
        lambda a, b, _: a + b,
    )
    assert list(found) == [["+a", "+b"], ["+c", "+poison died", "+d"], ["+e"], ["+f", "+g", "+h"]]


def test_a_death_is_not_kept_in_the_cache(monkeypatch):
    smiles = ["C", "CC", "CCC"] * 200
    smiles[300] = "CO"

    def deadly(chunk, settings):
        if "CO" in chunk:
            os.kill(os.getpid(), signal.SIGKILL)
        return lift_all(chunk, settings)

    with monkeypatch.context() as patch:
        patch.setattr(lifting_many, "lift_all", deadly)
        found = lift_many(smiles, SETTINGS, num_workers=2)
    [(place, reason)] = found.failures
    assert (place, "died" in reason) == (300, True)
    assert lift_many(smiles, SETTINGS).failures == []


def fail(chunk, shared):
    raise MoleculeError(f"{chunk} {shared}")


def test_an_error_in_a_worker_is_the_callers():
    with pytest.raises(MoleculeError, match=r"a.* x"):
        list(workers.map_in_workers(fail, [["a"], ["b"]], "x", 2, list, lambda a, b, _: a + b))


@pytest.fixture
def count_lifts(monkeypatch):
    calls = []

    def counted(chunk, settings):
        calls.append(len(chunk))
        return lift_all(chunk, settings)

    monkeypatch.setattr(lifting_many, "lift_all", counted)
    return calls


def test_the_cache_answers_the_second_time(cache_folder, count_lifts):
    assert_same(lift_many(SMILES, SETTINGS))
    first = len(count_lifts)
    assert first > 0
    assert_same(lift_many(SMILES, SETTINGS))
    assert len(count_lifts) == first
    assert len(list((cache_folder / "molecules").iterdir())) == 2


@pytest.mark.parametrize(
    "other", [LiftSettings(rings="smallest"), LiftSettings(max_ring_size=6), "content"]
)
def test_the_cache_knows_settings_and_content(count_lifts, other):
    lift_many(SMILES, SETTINGS)
    first = len(count_lifts)
    if other == "content":
        lift_many([*SMILES[:-1], "C"], SETTINGS)
    else:
        lift_many(SMILES, other)
    assert len(count_lifts) == 2 * first


@pytest.mark.parametrize("suffix", [".safetensors", ".failures"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "delete"])
def test_a_damaged_entry_is_built_anew(cache_folder, count_lifts, suffix, damage):
    lift_many(SMILES, SETTINGS)
    first = len(count_lifts)
    [path] = (cache_folder / "molecules").glob(f"*{suffix}")
    content = bytearray(path.read_bytes())
    if damage == "delete":
        path.unlink()
    else:
        middle = 1 if suffix == ".failures" else len(content) // 2
        content[middle] ^= 0x7F
        cut = {"truncate": len(content) - 5, "flip": None, "empty": 0}[damage]
        path.write_bytes(content if cut is None else content[:cut])
    assert_same(lift_many(SMILES, SETTINGS))
    assert len(count_lifts) == 2 * first
    assert_same(lift_many(SMILES, SETTINGS))
    assert len(count_lifts) == 2 * first


@pytest.mark.parametrize(
    ("old", "new"),
    [("[[700, ", "[[703, "), ("[[700, ", "[[5000, "), ("[[700, ", "[" * 100_000)],
    ids=["another row", "beyond the table", "nested deeply"],
)
def test_altered_failures_are_found_out(cache_folder, count_lifts, old, new):
    lift_many(SMILES, SETTINGS)
    first = len(count_lifts)
    [path] = (p for p in (cache_folder / "molecules").iterdir() if p.suffix != ".safetensors")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert_same(lift_many(SMILES, SETTINGS))
    assert len(count_lifts) == 2 * first


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TOPODIFF_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written"):
        assert_same(lift_many(SMILES, SETTINGS))


def test_files_of_a_shared_cache_can_be_read_by_others(cache_folder):
    before = os.umask(0o022)
    try:
        lift_many(SMILES, SETTINGS)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (cache_folder / "molecules").iterdir()}
    assert modes == {0o644}


def test_a_user_without_a_home(monkeypatch, tmp_path):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TOPODIFF_CACHE")
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.warns(UserWarning, match="no home folder: the cache is"):
        assert_same(lift_many(SMILES, SETTINGS))
    assert (tmp_path / "topodiff" / "molecules").is_dir()


def test_tables_use_workers_and_cache(write, cache_folder):
    path = write("smiles,y\n" + "".join(f"{s},{i}\n" for i, s in enumerate(SMILES)))
    first = read_table(path, target_columns="y", num_workers=2)
    again = read_table(path, target_columns="y")
    assert first.complexes.equals(again.complexes)
    assert first.failures == again.failures
    assert cache_folder.is_dir()
    assert first.y[:, 0].long().tolist() == first.row_numbers
