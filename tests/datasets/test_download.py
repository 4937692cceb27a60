"""Downloads from local addresses: checked, atomic, repaired."""

import hashlib

import pytest

from topodiff.datasets import DownloadError, download, fetch


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPODIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.csv"
    path.write_bytes(b"smiles\nC\n")
    return path


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_fetch_once(source):
    url, digest = source.as_uri(), sha(source)
    path = fetch(url, "a.csv", digest, progress=True)
    assert path.read_bytes() == source.read_bytes()
    source.unlink()
    assert fetch(url, "a.csv", digest) == path
    assert [p.name for p in path.parent.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("known", [True, False], ids=["checksum", "first use"])
def test_a_damaged_copy_is_fetched_again(source, known):
    digest = sha(source) if known else None
    path = fetch(source.as_uri(), "a.csv", digest)
    path.write_bytes(b"smiles\nX\n")
    assert fetch(source.as_uri(), "a.csv", digest).read_bytes() == source.read_bytes()


def test_what_changed_after_the_first_use_is_refused(source):
    fetch(source.as_uri(), "a.csv").unlink()
    source.write_bytes(b"other")
    with pytest.raises(DownloadError, match="the sha256 of what is there"):
        fetch(source.as_uri(), "a.csv")


def test_a_wrong_file_is_refused_and_leaves_nothing(source, tmp_path):
    with pytest.raises(DownloadError, match="expected 00"):
        fetch(source.as_uri(), "a.csv", "00")
    assert list((tmp_path / "cache" / "datasets").iterdir()) == []


def test_no_network(tmp_path):
    with pytest.raises(DownloadError, match="TOPODIFF_MIRROR"):
        fetch((tmp_path / "none").as_uri(), "a.csv")


def test_tries_again(source, monkeypatch):
    opened = download.urllib.request.urlopen
    calls = []

    def flaky(url, timeout):
        calls.append(url)
        if len(calls) < 3:
            raise OSError("connection reset")
        return opened(url, timeout=timeout)

    monkeypatch.setattr(download.urllib.request, "urlopen", flaky)
    assert fetch(source.as_uri(), "a.csv", sha(source)).is_file()
    assert len(calls) == 3


def test_a_damaged_mirror_is_reported(source, monkeypatch):
    monkeypatch.setenv("TOPODIFF_MIRROR", str(source.parent))
    assert download.from_mirror("source.csv", sha(source)) == source
    assert download.from_mirror("other.csv") is None
    with pytest.raises(DownloadError, match="is damaged"):
        download.from_mirror("source.csv", "00")
