"""Our models as an auto-annotation function of CVAT, called by CVAT's own driver and command line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from cvat_server import TOKEN, serving
from exports import document, header, image, zipped
from smoke_runs import SmokeRuns

import pcm_leukemia as pcm
from pcm_leukemia.baselines import prediction
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.baselines.prediction import Predictor
from pcm_leukemia.images import Pixels

pytest.importorskip("cvat_sdk", reason="the extra cvat is not installed")

from pcm_leukemia.cvat_function import CellFunction, create

DETECTOR, CLASSIFIER = "rtdetrv2_deim-wbc", "dinobloom-classification-lp+ft-42-8"
_UPSIDE = 6
"""The EXIF orientation of an image that was turned by 90 degrees."""


class RedCells:
    """Finds whatever is red, its left half, and whatever is red once more as another class."""

    labels = ("Other", "Monocyte")
    multi_label = False

    def prepare(self, image: Pixels) -> torch.Tensor:
        return torch.from_numpy(image.copy())

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch

    def detections(
        self, raw: torch.Tensor, sizes: Sequence[tuple[int, int]], *, multi_label: bool
    ) -> list[Detections]:
        assert not multi_label
        assert [(each.shape[1], each.shape[0]) for each in raw] == list(sizes)
        rows, columns = np.nonzero((raw[0, :, :, 0] > 200).numpy() & (raw[0, :, :, 1] < 50).numpy())
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        box, half = [left, top, right, bottom], [left, top, (left + right) / 2, bottom]
        return [
            Detections(
                np.array([box, half, box], np.float32),
                np.array([0.9, 0.3, 0.6], np.float32),
                np.array([1, 0, 0], np.int64),
            )
        ]


def smear(mode: str = "RGB", *, orientation: int | None = None, form: str = "PNG") -> PIL.Image.Image:
    """120 pixels wide and 60 high, with a red cell at 10, 20 to 40, 50; opened from a file, as cvat-sdk does."""
    picture = PIL.Image.new("RGB", (120, 60), (230, 210, 220))
    picture.paste((255, 0, 0), (10, 20, 40, 50))
    exif = PIL.Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    stream = io.BytesIO()
    picture.convert(mode).save(stream, form, exif=exif)
    opened = PIL.Image.open(stream)
    opened.load()
    return opened


class Context:
    frame_name = "a.png"
    conv_mask_to_poly = False

    def __init__(self, conf_threshold: float | None = None) -> None:
        self.conf_threshold = conf_threshold


def found(picture: PIL.Image.Image, threshold: float | None = None) -> list[Any]:
    shapes: list[Any] = list(CellFunction(Predictor(RedCells())).detect(Context(threshold), picture))
    return shapes


@pytest.mark.parametrize(("mode", "form"), [("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("CMYK", "TIFF")])
def test_a_cell_is_found_whatever_the_kind_of_image(mode: str, form: str) -> None:
    (shape,) = found(smear(mode, form=form))
    assert (shape.points, shape.label_id, shape.score) == ([10.0, 20.0, 40.0, 50.0], 1, 0.9)
    assert str(shape.type) == "rectangle"
    assert not hasattr(shape, "source")


def test_a_turned_image_is_annotated_as_cvat_shows_it() -> None:
    (shape,) = found(smear(orientation=_UPSIDE))
    assert shape.points == [10.0, 10.0, 40.0, 40.0]


def test_cvat_may_ask_for_another_threshold() -> None:
    assert [shape.score for shape in found(smear(), 0.3)] == [0.9, 0.3]
    assert found(smear(), 0.95) == []


def served(tmp_path: Path, labels: Sequence[str]) -> Path:
    data = io.BytesIO()
    smear().save(data, "PNG")
    text = document(image("a.png", width=120, height=60), meta=header(labels=labels))
    return zipped(tmp_path / "task.zip", {"annotations.xml": text, "images/a.png": data.getvalue()})


def client_of(host: str, tmp_path: Path) -> Any:
    from cvat_sdk.core.client import AccessTokenCredentials, Client, Config

    client = Client(host, config=Config(cache_dir=tmp_path / "cache"), check_server_version=False)
    client.login(AccessTokenCredentials(TOKEN))
    return client


def test_cvats_driver_takes_the_function(tmp_path: Path) -> None:
    from cvat_sdk.auto_annotation import BadFunctionError, annotate_task

    function = CellFunction(Predictor(RedCells()))
    with (
        serving(served(tmp_path, ["Monocyte", "Other"])) as (server, host),
        client_of(host, tmp_path) as client,
    ):
        annotate_task(client, 1, function, conf_threshold=0.2)
        names = {label["id"]: label["name"] for label in server.labels}
        drawn = [
            (names[shape["label_id"]], shape["score"], shape["source"]) for shape in server.tasks[1].shapes
        ]
    assert drawn == [("Monocyte", 0.9, "auto"), ("Other", 0.3, "auto")]
    with serving(served(tmp_path, ["Monocyte"])) as (_, host), client_of(host, tmp_path) as client:
        with pytest.raises(BadFunctionError, match="label 'Other' is not in dataset"):
            annotate_task(client, 1, function)
        annotate_task(client, 1, function, allow_unmatched_labels=True)


def test_what_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pcm.errors.DataNotFound, match="holds no run"):
        create(str(tmp_path))
    with pytest.raises(ValueError, match="threshold 7: must be a score from 0 to 1"):
        create(str(tmp_path), threshold=7)


@pytest.mark.trains
def test_cvats_command_line_draws_what_predict_writes(smoke_runs: SmokeRuns, tmp_path: Path) -> None:
    runs = [smoke_runs.run(DETECTOR), smoke_runs.run(CLASSIFIER)]
    with serving(smoke_runs.folder / "export.zip") as (server, host):
        task = min(server.tasks.values(), key=lambda each: len(each.frames))
        command = [
            *(
                sys.executable,
                "-m",
                "cvat_cli",
                "--server-host",
                host,
                "task",
                "auto-annotate",
                str(task.number),
            ),
            *("--function-module", "pcm_leukemia.cvat_function", "-p", f"run=str:{runs[0].folder}"),
            *("-p", f"classifier=str:{runs[1].folder}", "-p", "device=str:cpu", "-p", "threshold=float:0.2"),
        ]
        environment = {"CVAT_ACCESS_TOKEN": TOKEN, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        names = {frame.name: number for number, frame in enumerate(task.frames)}
        labels = {label["id"]: label["name"] for label in server.labels}
    drawn = [
        (shape["frame"], labels[shape["label_id"]], shape["score"], shape["points"]) for shape in task.shapes
    ]
    ds = prediction.images_at(smoke_runs.folder / "export.zip")
    ds = ds.select(images=lambda each: each.subset == task.subset and each.name in names)
    predicted, taxonomy = prediction.predict(runs, ds, device="cpu", batch=1, workers=0)
    prediction.write(predicted, tmp_path / "predicted.zip", ds, taxonomy, "cvat", threshold=0.2)
    back = pcm.load_dataset(tmp_path / "predicted.zip")
    written = [
        (
            names[back.image(cell.image).name],
            cell.label,
            float(dict(cell.attributes)["score"]),
            [cell.box.x1, cell.box.y1, cell.box.x2, cell.box.y2],
        )
        for cell in back.cells
    ]
    assert written
    assert sorted(drawn) == sorted(written)
