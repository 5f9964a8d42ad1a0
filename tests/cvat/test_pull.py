"""`pull` against a server on loopback: the folder is what the zip is, moves little, and is never half of anything."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from commands import Run
from cvat_project import Cvat
from cvat_server import TOKEN, serving, zip_of
from exports import SHARED, png, zipped

from pcm_leukemia import Dataset, load_dataset, sample
from pcm_leukemia.cvat_server import pull, pulling
from pcm_leukemia.errors import ExportError, ServerError

pytest.importorskip("cvat_sdk", reason="the extra cvat is not installed")


def frames_asked(cvat: Cvat) -> int:
    return cvat.asked["GET /api/tasks/N/data/"] + cvat.asked["GET /api/jobs/N/data"]


def content(path: Path) -> tuple[str, list[str | None]]:
    """The fingerprint of what is read at a path, and the digests of the image files."""
    ds = load_dataset(path)
    return ds.fingerprint, [each.digest for each in ds.images]


# It is what the zip is


@pytest.mark.parametrize(("kind", "number"), [("project", 7), ("task", 3), ("task", 4), ("job", 4)])
def test_the_folder_reads_as_the_zip_does(
    served: tuple[Cvat, str], tmp_path: Path, kind: str, number: int
) -> None:
    cvat, host = served
    pulled = pull(f"{host}/{kind}s/{number}", tmp_path / "smears")
    zipfile_there = zip_of(cvat, tmp_path / "smears.zip", kind, number)
    folder, archive = load_dataset(tmp_path / "smears"), load_dataset(zipfile_there)
    assert folder == archive
    assert content(tmp_path / "smears") == content(zipfile_there)
    with zipfile.ZipFile(zipfile_there) as members:
        for name in members.namelist():
            assert (tmp_path / "smears" / name).read_bytes() == members.read(name), name
    assert (pulled.images, pulled.fetched, pulled.changed) == (len(folder.images), len(folder.images), True)


@pytest.mark.filterwarnings("ignore:.*not a shape of cells")
@pytest.mark.parametrize(
    "name",
    ["project-3-tasks-3-subsets-same-names.xml", "job-subset-train-names-with-ampersand.xml"],
)
def test_exports_that_cvat_wrote_come_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xml = SHARED / "cvat-samples" / name
    if not xml.is_file():
        pytest.skip(f"{xml} is not there")
    read = {"taxonomy": "declared", "clip": True}
    members: dict[str, str | bytes] = {"annotations.xml": xml.read_bytes()}
    for index, each in enumerate(load_dataset(xml, **read).images):  # type: ignore[arg-type]
        where = f"images/{each.subset}/" if "project" in name else "images/"
        members[where + each.name] = png(each.width, each.height, (index, 0, 0))
    source = zipped(tmp_path / "source.zip", members)
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", TOKEN)
    kind, number = ("project", 7) if "project" in name else ("task", 1)
    with serving(source) as (cvat, host):
        pull(f"{host}/{kind}s/{number}", tmp_path / "smears")
        archive = zip_of(cvat, tmp_path / "smears.zip", kind, number)
    folder = load_dataset(tmp_path / "smears", **read)  # type: ignore[arg-type]
    assert folder.images
    assert folder == load_dataset(archive, **read)  # type: ignore[arg-type]
    assert folder.fingerprint == load_dataset(archive, **read).fingerprint  # type: ignore[arg-type]


def test_frames_have_the_numbers_of_the_task_not_of_the_source(
    served: tuple[Cvat, str], tmp_path: Path
) -> None:
    cvat, host = served
    cvat.tasks[3].start, cvat.tasks[3].step = 10, 5
    cvat.tasks[4].deleted = {0}
    pull(f"{host}/projects/7", tmp_path / "smears")
    assert content(tmp_path / "smears") == content(zip_of(cvat, tmp_path / "smears.zip"))
    assert len(load_dataset(tmp_path / "smears").images) == 3


def test_it_is_imported_and_updated_like_any_export(
    served: tuple[Cvat, str], tmp_path: Path, run: Run
) -> None:
    cvat, host = served
    folder, data = tmp_path / "smears", tmp_path / "data"
    done = run("pull", f"{host}/projects/7", folder)
    assert (done.status, done.err) == (0, "")
    assert "4 images of" in done.out
    assert f"pcm-leukemia import {folder} DATA" in done.out
    assert run("import", folder, data).status == 0
    cvat.tasks[4].frames[0].element[0].set("label", "Basophil")
    cvat.touch(cvat.tasks[4])
    assert run("pull", f"{host}/projects/7", folder).status == 0
    done = run("import", folder, data, "--update")
    assert "4 images read: 1 changed, 0 new, 3 the same" in done.out
    assert load_dataset(data).counts["Basophil"] == 1


def test_a_copy_of_the_folder_is_a_data_set_like_any(served: tuple[Cvat, str], tmp_path: Path) -> None:
    """The mark has no path, so the folder can be moved, and is still known."""
    _, host = served
    pull(f"{host}/projects/7", tmp_path / "smears")
    shutil.move(tmp_path / "smears", tmp_path / "moved")
    again = pull(f"{host}/projects/7", tmp_path / "moved")
    assert not again.changed
    assert isinstance(load_dataset(tmp_path / "moved"), Dataset)


# It moves only what has changed


def test_a_second_pull_moves_less_than_a_hundredth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", TOKEN)
    export = sample.write(tmp_path / "export.zip", patients=4, images=8)
    with serving(export) as (cvat, host):
        pull(f"{host}/projects/7", tmp_path / "smears")
        first, cvat.sent = cvat.sent, 0
        again = pull(f"{host}/projects/7", tmp_path / "smears")
    assert not again.changed
    assert "nothing has changed since the last pull" in str(again)
    assert 0 < cvat.sent < first / 100


def test_new_annotations_bring_no_frame(served: tuple[Cvat, str], tmp_path: Path) -> None:
    cvat, host = served
    pull(f"{host}/projects/7", tmp_path / "smears")
    before = frames_asked(cvat)
    cvat.tasks[3].frames[0].element[0].set("label", "Basophil")
    cvat.touch(cvat.tasks[3])
    pulled = pull(f"{host}/projects/7", tmp_path / "smears")
    assert (pulled.changed, pulled.fetched, frames_asked(cvat)) == (True, 0, before)
    assert load_dataset(tmp_path / "smears").counts["Basophil"] == 1


def test_frames_of_a_task_that_were_replaced_come_alone(served: tuple[Cvat, str], tmp_path: Path) -> None:
    cvat, host = served
    pull(f"{host}/projects/7", tmp_path / "smears")
    cvat.tasks[4].frames[0].data = png(color=(99, 99, 99))
    cvat.touch(cvat.tasks[4], frames=True)
    assert pull(f"{host}/projects/7", tmp_path / "smears").fetched == 2
    assert content(tmp_path / "smears") == content(zip_of(cvat, tmp_path / "smears.zip"))


def test_a_task_more_and_a_task_less(served: tuple[Cvat, str], tmp_path: Path) -> None:
    cvat, host = served
    gone = cvat.tasks.pop(4)
    pull(f"{host}/projects/7", tmp_path / "smears")
    cvat.tasks[4] = gone
    cvat.touch()
    assert pull(f"{host}/projects/7", tmp_path / "smears").fetched == 2
    del cvat.tasks[3]
    cvat.touch()
    assert pull(f"{host}/projects/7", tmp_path / "smears").fetched == 0
    assert content(tmp_path / "smears") == content(zip_of(cvat, tmp_path / "smears.zip"))
    assert not (tmp_path / "smears" / "images" / "Train").exists()


def test_a_file_that_was_changed_here_is_brought_again(served: tuple[Cvat, str], tmp_path: Path) -> None:
    cvat, host = served
    pull(f"{host}/projects/7", tmp_path / "smears")
    (tmp_path / "smears" / "images" / "Train" / "a.png").write_bytes(b"broken")
    (tmp_path / "smears" / "images" / "Test" / "a.png").unlink()
    assert pull(f"{host}/projects/7", tmp_path / "smears").fetched == 2
    assert content(tmp_path / "smears") == content(zip_of(cvat, tmp_path / "smears.zip"))


# It is never half of anything


def test_a_pull_that_broke_off_resumes(served: tuple[Cvat, str], tmp_path: Path) -> None:
    cvat, host = served
    left = iter([0, 0, 0])
    cvat.fault("/tasks/4/data/.*type=frame", lambda: next(left, "drop"))
    left = iter([0])
    with pytest.raises(
        ServerError, match="the connection broke off .*; run the same command again to resume"
    ):
        pull(f"{host}/projects/7", tmp_path / "smears")
    assert not (tmp_path / "smears").exists()
    cvat.faults.clear()
    before = frames_asked(cvat)
    assert pull(f"{host}/projects/7", tmp_path / "smears").images == 4
    assert frames_asked(cvat) == before + 1
    assert content(tmp_path / "smears") == content(zip_of(cvat, tmp_path / "smears.zip"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


KILLED = """
import sys
import cvat_sdk.core.auth
from pcm_leukemia.cvat_server import pull
print("ready", flush=True)
pull(*sys.argv[1:])
"""


def test_killed_at_any_moment_it_leaves_the_old_or_the_new(served: tuple[Cvat, str], tmp_path: Path) -> None:
    """Killed twenty times: after each of its requests, and between the last one and the end."""
    cvat, host = served
    out, archive = tmp_path / "smears", tmp_path / "new.zip"
    command = [sys.executable, "-c", KILLED, f"{host}/projects/7", str(out)]

    def change(turn: int) -> tuple[str, list[str | None]]:
        cvat.tasks[3].frames[0].element[0].set("ybr", str(71 + turn))
        for index, frame in enumerate(cvat.tasks[4].frames):
            frame.data = png(color=(turn, index, 0))
        cvat.touch(cvat.tasks[3])
        cvat.touch(cvat.tasks[4], frames=True)
        return content(zip_of(cvat, archive))

    pull(f"{host}/projects/7", out)
    change(21)
    cvat.asked.clear()
    pull(f"{host}/projects/7", out)
    requests = cvat.asked.total()
    draw = random.Random(0)
    ended = []
    for turn in range(20):
        old, new = content(out), change(turn)
        cvat.asked.clear()
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            while cvat.asked.total() < min(turn, requests) and process.poll() is None:
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.02 if turn < requests else 0.1))
            process.kill()
        now = content(out)
        assert now in (old, new), turn
        ended.append(now == new)
    assert not ended[0]
    assert requests < len(ended)
    change(22)
    pull(f"{host}/projects/7", out)
    assert content(out) == content(zip_of(cvat, archive))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".smears")] == []


def test_a_full_disk_leaves_what_was_there(
    served: tuple[Cvat, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cvat, host = served
    pull(f"{host}/projects/7", tmp_path / "smears")
    before = content(tmp_path / "smears")
    cvat.touch(cvat.tasks[4], frames=True)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("write_bytes", "write_text"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, full)
            with pytest.raises(
                ExportError, match="No space left on device; check the disk and the permissions"
            ):
                pull(f"{host}/projects/7", tmp_path / "smears")
        assert content(tmp_path / "smears") == before


def test_a_disk_without_links_gets_copies(
    served: tuple[Cvat, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EPERM, "no links")

    cvat, host = served
    monkeypatch.setattr(os, "link", no_link)
    pull(f"{host}/projects/7", tmp_path / "smears")
    assert content(tmp_path / "smears") == content(zip_of(cvat, tmp_path / "smears.zip"))


def test_names_that_differ_in_case_alone_both_come_or_none(served: tuple[Cvat, str], tmp_path: Path) -> None:
    cvat, host = served
    cvat.tasks[3].frames[1].name = "A.png"
    cvat.tasks[3].frames[1].element.set("name", "A.png")
    pull(f"{host}/projects/7", tmp_path / "smears")
    assert content(tmp_path / "smears") == content(zip_of(cvat, tmp_path / "smears.zip"))
    # a disk that takes both for one is as if the second file were there already
    file = tmp_path / "smears" / "images" / "Train" / "a.png"
    with pytest.raises(
        ExportError, match='image "images/Train/a.png": another image has the same name in another case'
    ):
        pulling._place_all({"images/Train/a.png": file}, tmp_path / "smears")


def test_two_pulls_into_one_folder_do_not_meet(served: tuple[Cvat, str], tmp_path: Path) -> None:
    _, host = served
    (tmp_path / ".smears.partial").mkdir()
    (tmp_path / ".smears.partial" / "running").write_text("1")
    with pytest.raises(
        ExportError, match=r"another pull into it is running \(process 1\); wait for it to end"
    ):
        pull(f"{host}/projects/7", tmp_path / "smears")
