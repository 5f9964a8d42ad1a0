"""Raabin-Leukemia: a diagnosis for each image, and cells that nobody annotated."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_layouts import picture
from source_layouts import raabin_leukemia as layout

from pcm_leukemia.errors import DataNotFound, UnfitForTask
from pcm_leukemia.requirements import require_complete
from pcm_leukemia.sources import raabin_leukemia


def test_diagnoses_and_subtypes(tmp_path: Path) -> None:
    layout.make(tmp_path)
    ds = raabin_leukemia.read(tmp_path)
    told = {str(image.id): (image.diagnosis, [tag.label for tag in image.tags]) for image in ds.images}
    assert told["ALL/L1/2.jpg"] == ("ALL", ["L1"])
    assert told["AML/M3/1.jpg"] == ("AML", ["M3"])
    assert told["CML/1.jpg"] == ("CML", [])
    assert ds.diagnosis_of(ds.image("CLL/1.jpg")) == "CLL"
    with pytest.raises(
        UnfitForTask, match=r"of 6 images, .* not all cells are known to be annotated \(6 none\)"
    ):
        require_complete(ds)


def test_other_folders_are_not_read(tmp_path: Path) -> None:
    layout.make(tmp_path)
    picture(tmp_path / "Leukemia_Data" / "Normal" / "1.jpg")
    assert len(raabin_leukemia.read(tmp_path).images) == 6


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "ALL" / "L1").mkdir(parents=True)
    with pytest.raises(DataNotFound, match="holds no image; to get Raabin-Leukemia: download the leukaemia"):
        raabin_leukemia.read(tmp_path)
