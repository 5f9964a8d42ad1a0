"""Image files that no annotation lists: counted by `inspect`, `import` and `check`, and by no one else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from exports import box, document, image, png, write, zipped
from typer.testing import CliRunner

import pcm_leukemia as pcm
from pcm_leukemia import checks, cvat
from pcm_leukemia.cli.command_line import app
from pcm_leukemia.errors import DataWarning
from pcm_leukemia.files import MARKER, count_unlisted, unlisted

LISTED = document(image("P1/a.png", box("Other")))
BESIDE = ("images/P1/b.png", "images/P2/deep/c.JPG")
HIDDEN = ("images/P1/.b.png", "__MACOSX/images/P1/._a.png", "images/.thumbnails/a.png", "images/P1/notes.txt")
SAID = "2 image files are not in the annotations: images/P1/b.png, images/P2/deep/c.JPG"


@pytest.fixture(params=["folder", "zip"])
def export(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    files: dict[str, str | bytes] = dict.fromkeys(["images/P1/a.png", *BESIDE, *HIDDEN], png())
    files["annotations.xml"] = LISTED
    if request.param == "zip":
        return zipped(tmp_path / "e.zip", files)
    for name, content in files.items():
        write(tmp_path / "e" / name, content)
    return tmp_path / "e"


def test_they_are_counted_everywhere(export: Path, tmp_path: Path) -> None:
    found = cvat.inspect(export)
    assert found.unlisted == list(BESIDE)
    assert f"unlisted {SAID}" in str(found)
    assert json.loads(json.dumps(found.to_json()))["unlisted"] == list(BESIDE)
    done = CliRunner().invoke(app, ["import", str(export), str(tmp_path / "data")])
    assert (done.exit_code, f"  {SAID}\n" in done.output) == (0, True)
    notes = checks.check(pcm.load_dataset(tmp_path / "data")).notes
    assert f"not checked: {SAID}" in notes


def test_nothing_is_said_if_all_are_listed(tmp_path: Path) -> None:
    path = zipped(tmp_path / "e.zip", {"annotations.xml": LISTED, "images/P1/a.png": png(), HIDDEN[1]: b""})
    assert "unlisted" not in str(cvat.inspect(path))
    done = CliRunner().invoke(app, ["import", str(path), str(tmp_path / "data")])
    assert "not in the annotations" not in done.output
    assert not any("not in the annotations" in note for note in checks.check(cvat.read(path)).notes)


def test_only_the_folder_images_is_searched_if_all_are_there(tmp_path: Path) -> None:
    for name in ("images/P1/a.png", "images/P2/b.png", "holiday.png"):
        write(tmp_path / name, png())
    assert cvat.inspect(write(tmp_path / "annotations.xml", LISTED)).unlisted == ["images/P2/b.png"]
    assert unlisted(tmp_path, ["images/P1/a.png", "images/P3/c.png"]) == ["images/P2/b.png"]


def test_folders_that_this_package_wrote_are_left_out(tmp_path: Path) -> None:
    for name in ("a.png", "crops/b.png", "other/c.png"):
        write(tmp_path / name, png())
    write(tmp_path / "crops" / MARKER, "{}")
    assert unlisted(tmp_path, ["a.png"]) == ["other/c.png"]
    assert unlisted(tmp_path, ["a.png", "crops/d.png"]) == ["crops/b.png", "other/c.png"]


def test_zips_below_a_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        zipped(tmp_path / f"{name}.zip", {f"images/{file}.png": f"{name}/{file}" for file in ("a", "b")})
    assert unlisted(tmp_path, ["one.zip/images/a.png", "two.zip/images/b.png"]) == [
        "one.zip/images/b.png",
        "two.zip/images/a.png",
    ]
    assert count_unlisted(["a.png"]) == "1 image file is not in the annotations: a.png"


def test_copies_of_listed_files_in_another_zip_are_listed(tmp_path: Path) -> None:
    for name, files in (("one", "ab"), ("two", "abcd")):
        zipped(tmp_path / f"{name}.zip", {f"images/{file}.png": file for file in files})
    listed = ["one.zip/images/a.png", "one.zip/images/b.png", "two.zip/images/c.png"]
    assert unlisted(tmp_path, listed) == ["two.zip/images/d.png"]


@pytest.mark.parametrize("form", ["zip", "folder", "xml"])
def test_an_export_whose_images_have_other_names(tmp_path: Path, form: str) -> None:
    files: dict[str, str | bytes] = {"annotations.xml": LISTED, "images/other.png": png()}
    path = zipped(tmp_path / "e.zip", files)
    if form != "zip":
        for name, content in files.items():
            write(tmp_path / "e" / name, content)
        path = tmp_path / "e" / ("annotations.xml" if form == "xml" else "")
    with pytest.warns(
        DataWarning, match=r"no image has a file: 1 image file is not in .*: images/other\.png;"
    ):
        assert cvat.read(path).root is None


def test_files_beside_a_single_xml_file_may_not_belong_to_it(tmp_path: Path) -> None:
    write(tmp_path / "holiday.png", png())
    assert cvat.inspect(write(tmp_path / "annotations.xml", LISTED)).warnings == []
