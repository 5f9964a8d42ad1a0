"""`pcm_leukemia.remote`: what is a URL, what is read of it, and what is said if it cannot be."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import storage as storages
from hypothesis import given
from hypothesis import strategies as st
from storage import SECRET, Unreliable

from pcm_leukemia import remote
from pcm_leukemia.errors import DataNotFound, ImpossibleValue, MissingExtra, ServerError
from pcm_leukemia.files import Files
from pcm_leukemia.remote import RemotePath, is_url, place_of, without_secrets


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting."""
    monkeypatch.setattr(remote, "_WAITS", (0, 0, 0))


def put(url: str, content: dict[str, bytes]) -> None:
    from fsspec.core import url_to_fs

    files, path = url_to_fs(url)
    for name, data in content.items():
        files.pipe_file(f"{path}/{name}", data)


@pytest.mark.parametrize(
    "typed",
    ["a:b", "C:\\images", "C:/images", "C://images", "frames", "a/s3://b", "./memory://x", "s3:/b", ""],
)
def test_a_path_on_disk_stays_one(typed: str) -> None:
    assert not is_url(typed)
    assert place_of(typed) == Path(typed)


def test_a_file_url_is_a_path_on_disk() -> None:
    assert place_of("file:///data/my%20frames") == Path("/data/my frames")


def test_fsspec_is_imported_for_urls_alone() -> None:
    code = (
        "import sys, pcm_leukemia.remote as r, pcm_leukemia.files as f, pcm_leukemia.store\n"
        "f.open_container('.'); r.place_of('s3://bucket/a')\n"
        "print('fsspec' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_a_web_address_is_refused() -> None:
    with pytest.raises(
        DataNotFound, match=r"^https://a.org/x: is a web address.*; download the files"
    ) as caught:
        place_of("https://a.org/x?token=1234")
    assert "1234" not in str(caught.value)


@given(st.text("abcXYZ019._-~!$", min_size=1), st.text("abcXYZ019._-~!$", min_size=1))
def test_passwords_and_queries_are_never_shown(user: str, password: str) -> None:
    secret = f"Q{password}Q"
    path = RemotePath(f"ftp://{user}:{secret}@ward/frames?token={secret}")
    below = path / "a/b.png"
    for shown in (path, repr(path), below, below.parent, without_secrets(f"cannot open {path.given}, sorry")):
        assert secret not in str(shown)
    assert str(below) == "ftp://ward/frames/a/b.png"
    assert pickle.loads(pickle.dumps(below)) == below


def test_a_chained_url_is_joined_in_its_first_link() -> None:
    path = place_of("zip://images::s3://user:pass@bucket/export.zip?x=1") / "P1/a.png"
    assert str(path) == "zip://images/P1/a.png::s3://bucket/export.zip"
    assert str(place_of("s3://bucket/Export.ZIP") / "a.png") == "zip://a.png::s3://bucket/Export.ZIP"


def test_files_are_listed_read_and_opened_in_pieces(storage: str) -> None:
    data = bytes(range(256)) * 800
    put(storage, {"P1/a [1].png": data, "b.png": b"", "P1/deep/c?.png": b"c"})
    folder = RemotePath(storage)
    listed = folder.files()
    assert {name: size for name, (size, _) in listed.items()} == {
        "P1/a [1].png": len(data),
        "P1/deep/c?.png": 1,
        "b.png": 0,
    }
    assert (folder / "P1/a [1].png").read_bytes() == data
    assert (folder / "b.png").read_bytes() == b""
    with (folder / "P1/a [1].png").open() as stream:
        assert stream.read(10) == data[:10]
        stream.seek(-5, 2)
        assert stream.read() == data[-5:]
        stream.seek(70_000)
        assert stream.read(100_000) == data[70_000:170_000]
        assert stream.seek(0, 2) == len(data)
        assert stream.read(1) == b""
    assert [folder.exists(), folder.is_dir(), folder.is_file()] == [True, True, False]
    assert [(folder / "b.png").is_file(), (folder / "none").exists()] == [True, False]


def test_only_the_head_of_a_large_file_is_fetched(s3: str, unreliable: Unreliable) -> None:
    put(s3, {"a.png": bytes(10_000_000)})
    unreliable.requests.clear()
    with (RemotePath(s3) / "a.png").open() as stream:
        assert stream.read(100) == bytes(100)
    assert len(unreliable.requests) == 2  # the size, and one piece


def test_digests_are_those_of_the_same_files_on_disk(storage: str, tmp_path: Path) -> None:
    content = {"small": b"abc", "one": bytes(range(256)) * 999, "large": bytes(range(251)) * 40_000}
    put(storage, content)
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    here, there = Files(tmp_path), pickle.loads(pickle.dumps(Files(RemotePath(storage))))
    for name, data in content.items():
        assert there.digest_of(name) == here.digest_of(name)
        assert there.sha256(name) == hashlib.sha256(data).hexdigest()
        with there.open_to_move(name) as stream:
            assert there.ending(name, stream, 100) == (len(data), data[-100:])
    with pytest.raises(DataNotFound, match=r"has no file none; give images_root"):
        there.read("none")
    with pytest.raises(DataNotFound, match=r"leads out of"):
        there.read("../small")


def test_the_state_of_a_file_changes_with_its_content(s3: str) -> None:
    put(s3, {"a": b"1", "b": b"2"})
    before = Files(RemotePath(s3))
    assert before.state("a") == Files(RemotePath(s3)).state("a")
    put(s3, {"a": b"3"})
    after = Files(RemotePath(s3))
    assert after.state("a") != before.state("a")
    assert after.state("b") == before.state("b")


@pytest.mark.parametrize("fault", ["drop", "busy", "cut"])
def test_a_lost_connection_is_tried_again(s3: str, unreliable: Unreliable, fault: storages.Fault) -> None:
    data = bytes(range(256)) * 100
    put(s3, {"a.png": data})
    folder = RemotePath(s3)
    for ask, answer in (
        ((folder / "a.png").read_bytes, data),
        (lambda: (folder / "a.png").read_bytes(10, 20), data[10:20]),
        (lambda: list(folder.files()), ["a.png"]),
        (folder.exists, True),
    ):
        storages.forget_connections()
        unreliable.faults[:] = [fault, fault]
        assert ask() == answer
        assert not unreliable.faults


def test_a_connection_that_stays_lost_is_one_sentence(s3: str, unreliable: Unreliable) -> None:
    unreliable.faults[:] = ["busy"] * 1000
    with pytest.raises(
        ServerError, match=r"cannot be reached in 4 attempts \(.*\); check the network"
    ) as caught:
        RemotePath(s3).files()
    assert str(caught.value).startswith(f"{s3}: ")
    assert len(unreliable.requests) == 4
    unreliable.close()
    with pytest.raises(ServerError, match="cannot be reached in 4 attempts") as caught:
        (RemotePath(s3) / "a.png").read_bytes()
    assert SECRET not in str(caught.value)
    assert "?" not in str(caught.value)


def test_each_reason_has_its_sentence(
    s3: str, unreliable: Unreliable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(DataNotFound, match=r"^s3://no-such-ward/a: no such bucket; correct the URL$"):
        RemotePath("s3://no-such-ward/a").files()
    unreliable.faults[:] = ["forbidden"]
    with pytest.raises(
        ServerError, match=r"must not be accessed with these credentials .*; use credentials that may"
    ):
        (RemotePath(s3) / "a.png").read_bytes()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    storages.forget_connections()
    with pytest.raises(ServerError, match=r"no credentials were found .*; set them where the library"):
        RemotePath(s3).files()


def test_an_unknown_protocol_and_a_missing_library_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImpossibleValue, match=r"^xyz://a/b: fsspec knows no protocol xyz; use s3://"):
        RemotePath("xyz://a/b").exists()
    with pytest.raises(MissingExtra, match=r"^gcsfs: not installed; run: pip install gcsfs$"):
        RemotePath("gs://a/b").exists()
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    storages.forget_connections()
    with pytest.raises(MissingExtra, match=r"pip install 'pcm-leukemia\[scale\]'$"):
        RemotePath("memory://a/b").exists()
