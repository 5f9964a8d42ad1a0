"""From an export of Roboflow or Label Studio and a hospital's list to data for training, as docs/quick-start.md says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Run
from exports import png, write

ROWS = "0 .5 .5 .2 .2\n1 .2 .3 .1 .1\n"
PEOPLE = [f"P{number:02}" for number in range(1, 10)]
NINE = ("--taxonomy", "pcm-leukemia", "--map", "blast=Lymphoblast")


def roboflow(folder: Path) -> Path:
    """Three images of each patient, one in each part, as a tool that splits by image leaves them."""
    for part in ("train", "valid", "test"):
        for person in PEOPLE:
            write(folder / part / "images" / f"{person}_{part}_png.rf.0a1b.png", png())
            write(folder / part / "labels" / f"{person}_{part}_png.rf.0a1b.txt", ROWS)
    places = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
    write(folder / "data.yaml", f"{places}\nnc: 2\nnames: ['blast', 'Neutrophil']\n")
    names = [f"*{person}_{part}_png.rf.*" for person in PEOPLE for part in ("train", "valid", "test")]
    return listed(folder, names)


def label_studio(folder: Path) -> Path:
    """Three images of each patient, with a code before their names."""
    names = [f"{person}_{number}.png" for person in PEOPLE for number in range(3)]
    for number, name in enumerate(names):
        write(folder / "images" / f"{number:08x}-{name}", png())
        write(folder / "labels" / f"{number:08x}-{name[:-4]}.txt", ROWS)
    write(folder / "classes.txt", "blast\nNeutrophil\n")
    write(folder / "notes.json", "{}")
    return listed(folder, [f"*-{name}" for name in names])


def listed(folder: Path, patterns: list[str]) -> Path:
    """The folder, with a list beside it as a German Excel saves it."""
    rows = [f"{pattern};{PEOPLE[number // 3]};ALL" for number, pattern in enumerate(patterns)]
    text = "\r\n".join(["Image name;Patient ID;Diagnosis", *rows, ""])
    write(folder.parent / "patients.csv", text.encode("utf-8-sig"))
    return folder


@pytest.mark.parametrize("draw", [roboflow, label_studio])
def test_from_an_export_and_a_list_to_data_for_training(
    draw: Callable[[Path], Path], run: Run, tmp_path: Path
) -> None:
    smears, data = draw(tmp_path / "smears"), tmp_path / "data"
    assert run("info", smears).status == 0
    done = run("import", smears, data, "--patients-csv", tmp_path / "patients.csv", *NINE)
    assert "9 patients, 27 images, 54 cells, 9 labels" in done.out
    assert (done.status, done.err) == (0, "")
    assert run("split", data, "--replace").status == 0
    assert "0 problems" in run("check", data, "--no-pixels").out
    assert run("convert", data, tmp_path / "yolo", "--to", "yolo", "--task", "wbc").status == 0
    assert run("convert", data, tmp_path / "crops", "--to", "crops", "--task", "classification").status == 0


def test_import_says_what_the_parts_of_the_data_are_worth(run: Run, tmp_path: Path) -> None:
    smears, table = roboflow(tmp_path / "smears"), tmp_path / "patients.csv"
    came = '\n  split "given" came with the data: train 9, val 9, test 9 images'
    assert f"{came}\n" in run("import", smears, tmp_path / "data").out
    done = run("import", smears, tmp_path / "data", "--patients-csv", table)
    split = f"pcm-leukemia split {tmp_path / 'data'}"
    assert f"{came}; 9 patients are in several parts, so make one by patient: {split} --replace\n" in done.out
    assert "came with" not in run("import", label_studio(tmp_path / "studio"), tmp_path / "other").out
