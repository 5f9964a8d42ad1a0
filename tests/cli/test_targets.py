"""A target that must not, or cannot, be written is refused before the work, with status 2."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from commands import Run

from pcm_leukemia.cli import experiments, reading
from pcm_leukemia.errors import WrongTarget
from pcm_leukemia.files import check_file, check_folder, check_target

PATTERN = r"[^/]+/(?P<patient>[^/]+)/"


@pytest.fixture
def folder(export: Path, tmp_path: Path) -> Path:
    """The export as a folder."""
    with zipfile.ZipFile(export) as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command reads any data."""

    def worked(*_: object, **__: object) -> None:
        pytest.fail("worked")

    monkeypatch.setattr(reading, "load_dataset", worked)


COMMANDS = {
    "report": ("report", "DATA", "OUT.html"),
    "show": ("show", "DATA", "AML/P00/0.png", "OUT.png"),
    "check": ("check", "DATA", "--pictures", "OUT"),
    "figures": ("figures", "DATA", "OUT"),
    "differential": ("differential", "DATA", "OUT"),
    "yolo": ("convert", "DATA", "OUT", "--to", "yolo"),
    "coco": ("convert", "DATA", "OUT", "--to", "coco"),
    "crops": ("convert", "DATA", "OUT", "--to", "crops"),
    "huggingface": ("convert", "DATA", "OUT", "--to", "huggingface"),
    "cvat": ("convert", "DATA", "OUT.zip", "--to", "cvat"),
}


def words(command: str, read: Path, out: Path) -> list[str]:
    return [word.replace("DATA", str(read)).replace("OUT", str(out)) for word in COMMANDS[command]]


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_target_inside_what_is_read(run: Run, folder: Path, command: str) -> None:
    before = sorted(folder.rglob("*"))
    refused = run(*words(command, folder, folder / "out"))
    assert (refused.status, refused.out) == (2, "")
    assert f"is inside {folder}, which is read; name a place elsewhere" in refused.err
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_target_inside_a_data_set(
    run: Run, export: Path, tmp_path: Path, command: str, request: pytest.FixtureRequest
) -> None:
    run("import", export, tmp_path / "data")
    request.getfixturevalue("idle")
    refused = run(*words(command, export, tmp_path / "data" / "out"))
    assert (refused.status, refused.out) == (2, "")
    assert f"is inside {tmp_path / 'data'}, which holds a data set; name a f" in refused.err
    assert not list((tmp_path / "data").glob("out*"))


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_target_below_a_file(run: Run, export: Path, command: str) -> None:
    refused = run(*words(command, export, export / "new" / "out"))
    assert (refused.status, refused.out) == (2, "")
    assert f"{export} is a file; name a place elsewhere" in refused.err


def test_pictures_in_place_of_the_data(run: Run, export: Path, tmp_path: Path) -> None:
    run("import", export, tmp_path / "data")
    refused = run("check", tmp_path / "data", "--pictures", tmp_path / "data")
    assert (refused.status, refused.out) == (2, "")
    assert "holds data in the form canonical, not pairs; name another folder" in refused.err


@pytest.mark.parametrize("command", ["report", "show", "check", "differential", "yolo", "cvat"])
def test_missing_folders_above_a_target_are_made(
    run: Run, export: Path, tmp_path: Path, command: str
) -> None:
    typed = words(command, export, tmp_path / "new" / "deep" / "out")
    if command == "differential":
        typed += ["--patients", PATTERN]
    done = run(*typed)
    assert done.status == 0, done.err
    assert len(list((tmp_path / "new" / "deep").iterdir())) == 1


def test_a_data_set_may_lie_inside_its_export(run: Run, folder: Path) -> None:
    assert run("import", folder, folder / "data").status == 0
    assert run("info", folder / "data").status == 0


def test_a_target_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcm_leukemia.files.targets.os.access", lambda *_: False)
    for refuse in (check_file, check_folder, lambda out: check_target(out, "yolo")):
        with pytest.raises(WrongTarget, match="must not be written to; change its permissions"):
            refuse(tmp_path / "out")


def test_what_a_folder_is_added_to_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    assert check_folder(tmp_path / "runs") == tmp_path / "runs"
    (tmp_path / "file").touch()
    with pytest.raises(WrongTarget, match="file: is a file; name a folder"):
        check_folder(tmp_path / "file")


def test_the_commands_that_train_refuse_a_target_before_they_read(
    run: Run, export: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (reading, experiments):
        monkeypatch.setattr(module, "load_dataset", lambda *_, **__: pytest.fail("worked"))
    for out in (export, folder / "run"):
        assert run("train", "yolo11m", folder, out).status == 2
        assert run("reproduce", folder, out).status == 2
