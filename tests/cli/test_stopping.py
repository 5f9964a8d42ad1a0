"""Exit statuses: 1 for what the data lack, 2 for what was typed, 130 for Ctrl-C, which says in one line what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest
from commands import Run
from exports import box, document, image, png, write, zipped

from pcm_leukemia import cvat
from pcm_leukemia.store import writer

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


def stop(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize("there", [False, True])
def test_ctrl_c_while_writing_leaves_what_was_there(
    run: Run, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    data = tmp_path / "data"
    if there:
        assert run("import", export, data, "--patients", PATTERN).status == 0
    before = {path.name: path.read_bytes() for path in data.glob("*.*")}
    monkeypatch.setattr(writer, "cell_row", stop)
    stopped = run("import", export, data, "--patients", PATTERN)
    assert stopped == (130, "", "stopped: nothing was written; run the command again to start over\n")
    assert {path.name: path.read_bytes() for path in data.glob("*.*")} == before
    assert not list(tmp_path.glob(".data*"))


def test_ctrl_c_while_reading_changes_nothing(
    run: Run, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cvat, "read_plain", stop)
    stopped = run("inspect", export)
    assert stopped == (130, "", "stopped: nothing was changed; run the command again to start over\n")


def test_crops_go_on_after_ctrl_c(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(60)]
    members: dict[str, str | bytes] = {
        "annotations.xml": document(
            *(image(name, box("Other"), number=n, width=1500, height=1000) for n, name in enumerate(names))
        )
    }
    export = zipped(tmp_path / "large.zip", members | {f"images/{name}": png(1500, 1000) for name in names})
    command = [sys.executable, "-m", "pcm_leukemia", "convert", str(export), str(tmp_path / "out")]
    command += ["--to", "crops", "--workers", "1"]
    partial = tmp_path / ".out.partial"
    environment = {**os.environ, "COLUMNS": "200"}
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    while not list(partial.rglob("*.png")) and started.poll() is None:
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert (
        said.splitlines()[-1]
        == "stopped: the crops that were cut are kept; run the same command again to resume"
    )
    assert "Traceback" not in said
    assert list(partial.rglob("*.png"))
    assert not (tmp_path / "out").exists()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert "60 images, 60 cells" in done.stdout
    assert not partial.exists()


def coco(path: Path, **changes: object) -> Path:
    content: dict[str, object] = {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}],
        "categories": [{"id": 1, "name": "Other"}],
    }
    return write(path, json.dumps(content | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"categories": [{"id": 1, "name": " "}]},
        {"images": [{"id": 1, "file_name": "a.png", "width": 0, "height": 64}]},
        {"images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 10**12}]},
        {"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, -9, 9]}]},
    ],
)
def test_impossible_values_in_data_are_status_1_and_name_the_file(
    run: Run, tmp_path: Path, changes: dict[str, object]
) -> None:
    refused = run("info", coco(tmp_path / "impossible.json", **changes))
    assert (refused.status, refused.out) == (1, "")
    assert "impossible.json" in refused.err


def test_what_the_data_lack_is_status_1_and_what_is_typed_wrong_is_2(
    run: Run, export: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    assert run("import", export, data, "--patients", PATTERN).status == 0
    unsplit = run("train", "resnet50", data, tmp_path / "run")
    assert unsplit.status == 1
    assert "training needs the parts train and val, but the data has no split; make them" in unsplit.err
    assert run("split", data).status == 0
    names = [f"AML/P{patient:02d}/{number}.png" for patient in range(14) for number in (0, 1)]
    grown = document(*(image(name, box("Monocyte"), number=n) for n, name in enumerate(names)))
    assert run("import", write(tmp_path / "grown.xml", grown), data, "--patients", PATTERN).status == 0
    unplaced = run("info", data, "--split", "official")
    assert unplaced.status == 1
    assert "8 of 28 images are in no part" in unplaced.err
    assert run("info", data, "--split", "other").status == 2
    assert run("import", data, tmp_path / "out", "--patients", "(").status == 2
    assert run("import", data, tmp_path / "out", "--map", "Other=Basofil").status == 2
