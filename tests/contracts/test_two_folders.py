"""Every writer gives the same bytes from any folder: no output says where on a disk it was made."""

from __future__ import annotations

import os
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pcm_leukemia as pcm
from pcm_leukemia import Dataset, checks, converters, differential, report, sample, splits, store
from pcm_leukemia.baselines import prediction
from pcm_leukemia.baselines.experiments import paper_figures
from pcm_leukemia.baselines.prediction import Predicted
from pcm_leukemia.baselines.run import Run
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE

PATTERN = r"(?P<diagnosis>[^/]+)/(?P<patient>[^/]+)/"
Writer = Callable[[Dataset, Path], object]


def convert(name: str, **options: Any) -> Writer:
    return lambda ds, out: converters.get(name).write(ds, out, **options)


def predict(form: prediction.Form) -> Writer:
    def write(ds: Dataset, out: Path) -> object:
        run = Run(Path("runs/yolo"), {})
        predicted = {image.id: [Predicted("Other", Box(5, 5, 20, 20), 0.9)] for image in ds.images}
        return prediction.write(predicted, out, ds, NINE, form, runs=[run])

    return write


def sampled(_: Dataset, out: Path) -> object:
    return sample.write(out, patients=1, images=2, seed=3)


def differ(ds: Dataset, out: Path) -> object:
    return differential.write(differential.count(ds), out)


def checked(ds: Dataset, out: Path) -> object:
    return checks.write_pictures(checks.check(ds).findings, out, ds)


def paged(ds: Dataset, out: Path) -> object:
    return report.write(ds, out, checked=checks.check(ds))


def drawn(ds: Dataset, out: Path) -> object:
    return paper_figures.draw_figures(ds, [], out, numbers=[1, 6])


WRITERS: dict[str, Writer] = {
    **{name: convert(name) for name in converters.names()},
    "yolo-copy": convert("yolo", images="copy"),
    "yolo-links": convert("yolo", images="symlink"),
    "coco-links": convert("coco", images="symlink"),
    "canonical": store.write,
    "sample": sampled,
    "differential": differ,
    "check": checked,
    "report": paged,
    "figures": drawn,
    "predict-coco": predict("coco"),
    "predict-cvat": predict("cvat"),
    "predict-pictures": predict("pictures"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders with the same export."""
    made = tmp_path_factory.mktemp("folders")
    one, other = made / "ada", made / "elsewhere" / "deep" / "bob"
    export = sample.write(made / "export.zip", patients=6, images=8)
    for folder in (one, other):
        with zipfile.ZipFile(export) as archive:
            archive.extractall(folder / "export")
    return one, other


def written(write: Writer, folder: Path) -> dict[str, bytes]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pcm.load_dataset(folder / "export", patients=PATTERN)
            write(ds.with_split(splits.by_patient(ds, seed=1)), folder / "made" / "out")
        made = sorted((folder / "made").rglob("*"))
        return {str(path.relative_to(folder)): path.read_bytes() for path in made if path.is_file()}
    finally:
        os.chdir(before)
        shutil.rmtree(folder / "made", ignore_errors=True)


@pytest.mark.parametrize("name", WRITERS)
def test_the_folder_does_not_count(name: str, folders: tuple[Path, Path]) -> None:
    write = WRITERS[name]
    if name == "report":
        write = lambda ds, out: paged(ds, out.with_suffix(".html"))  # noqa: E731
    one, other = (written(write, folder) for folder in folders)
    assert one
    assert sorted(one) == sorted(other)
    assert [path for path in one if one[path] != other[path]] == []
