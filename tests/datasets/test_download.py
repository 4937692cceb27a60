"""Downloads from local addresses: checked, atomic, repaired."""

import gzip
import hashlib
import http.server
import io
import os
import threading
import zipfile

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


def test_what_was_put_there_by_hand_is_taken_and_kept(tmp_path):
    place = tmp_path / "cache" / "datasets" / "a.csv"
    nowhere = (tmp_path / "none").as_uri()
    with pytest.raises(DownloadError, match=f"Put the file at {place} yourself,"):
        fetch(nowhere, "a.csv")
    place.write_text("mine")
    assert fetch(nowhere, "a.csv").read_text() == "mine"
    assert place.with_name("a.csv.sha256").read_text().strip() == sha(place)
    place.unlink()
    with pytest.raises(DownloadError, match=r"yourself \(and delete a.csv.sha256 beside it\)"):
        fetch(nowhere, "a.csv")


@pytest.mark.parametrize("note", [b"", b"8c06", b"\xff\xfe"])
def test_a_damaged_note_is_written_anew(source, note):
    path = fetch(source.as_uri(), "a.csv")
    beside = path.with_name("a.csv.sha256")
    beside.write_bytes(note)
    assert fetch(source.as_uri(), "a.csv") == path
    assert beside.read_text().strip() == sha(path)


def broken_zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", b"content" * 9)
    content = bytearray(file.getvalue())
    content[60] ^= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"\n <!DOCTYPE html><html>log in</html>", "a web page"),
        ("a.npz", b"PK\x03\x04 and no more", "a damaged archive"),
        ("a.npz", broken_zip(), "a damaged archive"),
        ("a.csv.gz", b"smiles\nC\n", "a damaged archive"),
        ("a.csv.gz", gzip.compress(b"smiles\nC\n" * 99, mtime=0)[:-9], "a damaged archive"),
    ],
)
def test_what_is_no_data_set_is_not_kept(source, name, content, problem):
    good = source.read_bytes()
    source.write_bytes(content)
    with pytest.raises(DownloadError, match=f"what is there is {problem}"):
        fetch(source.as_uri(), name)
    place = source.parent / "cache" / "datasets" / name
    assert list(place.parent.iterdir()) == []
    place.write_bytes(content)
    with pytest.raises(DownloadError, match=rf"{name} is {problem}.*: delete it"):
        fetch(source.as_uri(), name)
    if name == "a.csv":
        place.unlink()
        source.write_bytes(good)
        assert fetch(source.as_uri(), name).read_bytes() == good


REPLIES = {
    "status": b"garbage\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nhello",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhel",
    "short": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
}


@pytest.fixture
def server(monkeypatch):
    """Address of a server that sends one of REPLIES."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.wfile.write(REPLIES[self.path.strip("/")])
            self.close_connection = True

        def log_message(self, *arguments):
            pass

    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize("reply", ["status", "chunk", "short"])
def test_replies_that_break_off(server, reply, tmp_path):
    with pytest.raises(DownloadError, match="cannot get") as refused:
        fetch(f"{server}/{reply}", "a.csv")
    assert "\n" not in str(refused.value)
    assert list((tmp_path / "cache" / "datasets").iterdir()) == []


def test_a_length_that_is_no_number_does_not_matter(server):
    assert fetch(f"{server}/length", "a.csv").read_bytes() == b"hello"


@pytest.mark.skipif(os.name == "nt", reason="rights are others there")
def test_rights_are_those_of_the_umask(source):
    before = os.umask(0o022)
    try:
        path = fetch(source.as_uri(), "a.csv")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_cache_that_cannot_be_used(source, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DownloadError, match="cannot use the cached copy of"):
        fetch(source.as_uri(), "a.csv")


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
    with pytest.raises(DownloadError, match=r"is damaged.*: replace it, or unset TOPODIFF_MIRROR"):
        download.from_mirror("source.csv", "00")


def test_a_mirror_that_is_not_there_is_reported(source, monkeypatch):
    monkeypatch.setenv("TOPODIFF_MIRROR", str(source))
    with pytest.raises(DownloadError, match=r"source\.csv, which is no folder: correct"):
        download.from_mirror("a.csv")
