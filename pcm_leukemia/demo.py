"""The main job on a small synthetic sample, from the export to data that models train on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pcm_leukemia import sample, splits, store
from pcm_leukemia.converters import coco, crops, yolo
from pcm_leukemia.files import CANONICAL, check_target, disk_errors
from pcm_leukemia.loading import load_dataset

__all__ = ["run"]

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"


def run(out: str | Path, say: Callable[[str], None]) -> None:
    """Draw a sample, import it, split it by patient and convert it, all below `out`.

    Raises
    ------
    ExportError
        If `out` holds something that this function did not write.
    """
    out = Path(out)
    export, data = out / "synthetic-smears.zip", out / "data"
    for target, form in (("data", CANONICAL), ("yolo", "yolo"), ("coco", "coco"), ("crops", "crops")):
        check_target(out / target, form)

    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    say(f"1. Drawing synthetic smears of 12 patients as a CVAT project export: {export}")
    sample.write(export, patients=12, images=36)

    say(f"2. Importing it; patients and diagnoses are in the image paths: {data}")
    ds = load_dataset(export, patients=PATTERN, name="synthetic-smears")
    store.write(ds, data)
    say(f"   {ds!r}")

    say("3. Splitting by patient, 85:15, then 80:20 of the rest")
    split = splits.by_patient(ds, test=0.15, val=0.2, seed=0)
    store.add_split(data, split, ds)
    ds = ds.with_split(split)
    for part in ds.parts:
        say(f"   {part:5} {ds.part(part)!r}")

    say("4. Converting")
    for report in (
        yolo.write(ds, out / "yolo", task="wbc"),
        coco.write(ds, out / "coco", images="copy"),
        crops.write(ds, out / "crops", task="classification", progress=True),
    ):
        say("   " + str(report).replace("\n", "\n   "))

    say(
        f"""
Everything is in {out}:
  synthetic-smears.zip  the CVAT export (synthetic: for trying things out, never for training a model to use)
  data/                 the data set as tables, and its split: open cells.csv in a spreadsheet
  yolo/  coco/  crops/  the data that detectors and classifiers train on

Try next:
  pcm-leukemia info {data}
  pcm-leukemia inspect YOUR_EXPORT.zip
  pcm-leukemia import YOUR_EXPORT.zip mydata --patients '{PATTERN}'
  pcm-leukemia split mydata
  pcm-leukemia convert mydata mydata-yolo --to yolo"""
    )
