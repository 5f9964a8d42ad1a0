"""Sizes and stain: boxes and frames, unusual boxes, and the colours of patients and sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pcm_leukemia.checks import unusual_boxes
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.report import stain
from pcm_leukemia.report.origin import sources_of
from pcm_leukemia.report.pictures import Pictures
from pcm_leukemia.report.sections import Section, legible, script
from pcm_leukemia.report.stain import Colour, Unit
from pcm_leukemia.schema import ImageId
from pcm_leukemia.shapes import Point

__all__ = ["section"]


def section(ds: Dataset, pictures: Pictures) -> Section:
    """The view of sizes and stain; the colours are measured while the pictures are cut."""
    units = stain.choose(ds) if pictures.possible else []
    stain.measure(ds, pictures, units)
    return Section(script("sizes") + script("stain"), lambda: _content(ds, units))


def _content(ds: Dataset, units: Sequence[Unit]) -> dict[str, object]:
    source_of = sources_of(ds)
    sources = sorted(set(source_of.values()))
    number_of = {name: number for number, name in enumerate(sources)}
    cell_at = {(cell.image, cell.id): number for number, cell in enumerate(ds.cells)}
    return {
        "sizes": {
            "points": [number for number, cell in enumerate(ds.cells) if isinstance(cell.shape, Point)],
            "unusual": [
                [cell_at[finding.cells[0]], finding.measured[0]] for finding in unusual_boxes(ds, ds.split)
            ],
        },
        "sources": [legible(name) for name in sources],
        "sourceOf": [number_of[source_of[image.id]] for image in ds.images] if sources else [],
        "stain": {
            "units": _units(ds, units, source_of),
            "unlike": stain.UNLIKE,
            "fewest": stain.FEWEST,
        },
    }


def _units(ds: Dataset, units: Sequence[Unit], source_of: Mapping[ImageId, str]) -> list[dict[str, object]]:
    """The colours of each unit that could be measured."""
    people = {patient.id: number for number, patient in enumerate(ds.patients)}
    image_at = {image.id: number for number, image in enumerate(ds.images)}
    unlike = stain.outliers(units, source_of)
    return [
        {
            "patient": None if unit.patient is None else people[unit.patient],
            "image": image_at[unit.images[0].id],
            "images": len(unit.background),
            "background": _colour(unit.mean("background")),
            "nuclei": _colour(unit.mean("nuclei")),
            "unlike": unlike.get(number, {}),
        }
        for number, unit in enumerate(units)
        if unit.background
    ]


def _colour(colour: Colour | None) -> dict[str, object] | None:
    if colour is None:
        return None
    red, green, blue = (round(each) for each in colour.rgb)
    return {"lab": [round(each, 2) for each in colour.lab], "rgb": f"#{red:02x}{green:02x}{blue:02x}"}
