"""Exports that cannot be read: one sentence with the cause, whatever is wrong with the file or folder."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from exports import box, document, image, png, write, zipped
from typer.testing import CliRunner

import pcm_leukemia as pcm
from pcm_leukemia import cvat
from pcm_leukemia.cli.command_line import app
from pcm_leukemia.errors import CorruptFile, DataNotFound, InvalidExport
from pcm_leukemia.files import Files, open_container

XML = document(*(image(f"{number}.png", box("Other"), number=number) for number in range(30)))


def whole(path: Path) -> bytes:
    names = {f"images/{number}.png": png() for number in range(30)}
    return zipped(path, {"annotations.xml": XML, **names}).read_bytes()


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("annotations.xml"))
    return out.getvalue()


def sentence(path: Path) -> str:
    """What `inspect` prints; `read` says the same."""
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 1
    with pytest.raises(InvalidExport) as caught:
        pcm.load_dataset(path)
    assert str(caught.value) == done.output.strip()
    return done.output.strip()


@pytest.mark.parametrize("name", ["e.zip", "e"])
def test_a_zip_that_is_cut_short(tmp_path: Path, name: str) -> None:
    content = whole(tmp_path / "whole.zip")
    for length in (100, len(content) // 2, len(content) - 30):
        path = write(tmp_path / name, content[:length])
        assert (
            sentence(path) == f"{name}: cannot be read because it is cut short; download or export it again"
        )
    with pytest.raises(CorruptFile, match="cannot be read as a zip because it is cut short; download"):
        Files(path).read("images/0.png")


def test_a_zip_that_lacks_a_piece(tmp_path: Path) -> None:
    content = whole(tmp_path / "whole.zip")
    path = write(tmp_path / "e.zip", content[:500] + content[900:])
    assert sentence(path) == "e.zip: cannot be read (a piece of it is missing); download or export it again"


def test_files_that_are_no_zip(tmp_path: Path) -> None:
    assert "because it is empty;" in sentence(write(tmp_path / "a.zip", b""))
    page = sentence(write(tmp_path / "b.zip", b"\n<!DOCTYPE html><html>Log in</html>"))
    assert "because it is a web page, perhaps one that asks to log in;" in page
    assert "cannot be read (File is not a zip file);" in sentence(write(tmp_path / "c.zip", b"text"))
    assert "or cut short (it is empty);" in sentence(write(tmp_path / "d.xml", b""))
    with pytest.raises(DataNotFound, match="e: is empty, so it is not a data set; give a CVAT export"):
        pcm.load_dataset(write(tmp_path / "e", b""))


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("e.rar", b"Rar!\x1a\x07\x01\0 and more", "RAR"),
        ("e.zip", b"Rar!\x1a\x07\x01\0 and more", "RAR"),
        ("e.7z", b"7z\xbc\xaf\x27\x1c and more", "7z"),
        ("e.xml.gz", gzip.compress(XML.encode(), mtime=0), "gzip"),
        ("e.tar.gz", gzip.compress(tar(), mtime=0), "gzip"),
        ("e.tar", tar(), "tar"),
        ("e", b"BZh91AY&SY", "bzip2"),
    ],
)
@pytest.mark.parametrize("read", [cvat.inspect, cvat.read, pcm.load_dataset])
def test_other_archives(tmp_path: Path, name: str, content: bytes, kind: str, read: object) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(DataNotFound) as caught:
        read(path)  # type: ignore[operator]
    assert (
        str(caught.value) == f"{path}: is a {kind} archive, which is not read; unpack it and give the folder"
    )


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_zips_inside(tmp_path: Path, form: str) -> None:
    inner = {f"task_{number}.zip": whole(tmp_path / "whole.zip") for number in range(5)}
    path = zipped(tmp_path / "e.zip", inner)
    if form == "folder":
        path = tmp_path / "e"
        for name, content in inner.items():
            write(path / name, content)
    (problem,) = cvat.inspect(path).problems
    assert problem.what == "contains no XML file, but archives: task_0.zip, task_1.zip, task_2.zip and 2 more"
    assert problem.fix == "unpack everything, and give the folder"


def test_members_that_are_refused_for_one_reason_are_one_problem(tmp_path: Path) -> None:
    content = bytearray(whole(tmp_path / "e.zip"))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(signature, at + 4)
    assert sentence(write(tmp_path / "e.zip", bytes(content))) == (
        "e.zip:'annotations.xml' and 30 more: is encrypted; unpack it and give the folder"
    )


@pytest.mark.parametrize(
    "name", ["a//b.png", "", " ", "images/", "a\nb.png", "x" * 60_000 + ".png", "\N{BELL}.png", "\\"]
)
def test_odd_names_in_a_zip(tmp_path: Path, name: str) -> None:
    path = tmp_path / "e.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("annotations.xml", XML)
        archive.writestr(zipfile.ZipInfo(name), png())
    found = cvat.inspect(path)  # whatever is said of the member
    assert found.images == 30 or found.problems
    assert name not in open_container(path).listing("images")


# Folders


def folder(root: Path) -> Path:
    write(root / "annotations.xml", document(image("P1/a.png", box("Other"))))
    write(root / "images" / "P1" / "a.png", png())
    return root


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = folder(tmp_path / "e"), os.scandir

    def refuse(where: os.PathLike[str] | str) -> object:
        if str(where).endswith("images/P1"):
            raise PermissionError(13, "Permission denied", str(where))
        return real(where)

    monkeypatch.setattr(os, "scandir", refuse)
    lines = [str(problem) for problem in cvat.inspect(path).problems]
    assert lines == [
        f"{path}/images/P1: cannot be listed (Permission denied); check its permissions, or name another folder"
    ]


def test_an_xml_file_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path / "e")

    def refuse(self: Path, *_: object) -> object:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    (problem,) = cvat.inspect(path).problems
    assert str(problem) == (
        "annotations.xml: cannot be read (Permission denied); check its permissions, or export it again"
    )


def test_links_in_a_circle(tmp_path: Path) -> None:
    path = folder(tmp_path / "e")
    for name in ("images/P1/b.png", "images/P1/up", "c.xml"):
        (path / name).symlink_to(path / name if "." in name else path)
    assert [each.file for each in cvat.read(path / "annotations.xml").images] == ["images/P1/a.png"]
    (problem,) = cvat.inspect(path).problems
    assert (problem.where, problem.what[:23]) == (str(path / "c.xml"), "is reached by a link th")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = folder(tmp_path / "e")
    os.mkfifo(path / "b.xml")
    assert [each.id for each in cvat.read(path).images] == ["P1/a.png"]


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    path = folder(tmp_path / "e")
    for name in (b"images/P1/\xfcber.png", b"M\xfcller.xml"):
        Path(os.fsdecode(os.fsencode(path) + b"/" + name)).write_bytes(b"")
    found = cvat.inspect(path)
    assert [f"{problem.where}: {problem.what}" for problem in found.problems] == [
        f"{path}/M?ller.xml: its name is not UTF-8"
    ]
    assert found.unlisted == ["images/P1/?ber.png"]
    assert CliRunner().invoke(app, ["inspect", str(path / "annotations.xml")]).exit_code == 0


def test_a_name_that_is_too_long_for_a_file(tmp_path: Path) -> None:
    path = write(
        folder(tmp_path / "e") / "annotations.xml", document(image("x" * 300 + "/" + "y" * 5000 + ".png"))
    )
    assert cvat.inspect(path).problems == []
    with pytest.raises(DataNotFound):
        open_container("z" * 5000)
