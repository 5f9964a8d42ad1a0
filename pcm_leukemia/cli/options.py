"""The arguments and options that several commands share, and what they may be."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pcm_leukemia import converters
from pcm_leukemia.sources import split_name

__all__ = [
    "AsJson",
    "ClipOption",
    "Data",
    "Export",
    "Format",
    "ImagesRoot",
    "MapOption",
    "PatientsAttribute",
    "PatientsCsv",
    "PatientsPattern",
    "PatientsTag",
    "SplitName",
    "Tasks",
    "Taxonomies",
    "TaxonomyOption",
    "ValUnit",
    "there",
]

Format = StrEnum("Format", converters.names())  # type: ignore[misc]  # the folder is the registry


class Taxonomies(StrEnum):
    """Where the classes of a CVAT export come from."""

    pcm_leukemia = "pcm-leukemia"
    declared = "declared"


class Tasks(StrEnum):
    """The tasks of the nine classes."""

    detection = "detection"
    wbc = "wbc"
    classification = "classification"


class ValUnit(StrEnum):
    """What is drawn, for validation or of another data set."""

    patient = "patient"
    image = "image"


# Arguments that several commands share


def there(path: Path) -> Path:
    """Refuse a path where nothing is, as typer does, unless it names a public data set."""
    if split_name(path) is None and not path.exists():
        raise typer.BadParameter(f"Path '{path}' does not exist.")
    return path


_DATA = "A CVAT export, a canonical, YOLO, COCO or Hugging Face folder, or NAME:ROOT of a public data set."
Data = Annotated[Path, typer.Argument(callback=there, help=_DATA)]
Export = Annotated[Path, typer.Argument(exists=True, help="A CVAT export: .xml, .zip or a folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
TaxonomyOption = Annotated[
    Taxonomies, typer.Option("--taxonomy", help="The nine classes, or the labels that the export declares.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="LABEL=CLASS|ignore", help="Read LABEL as CLASS; repeatable."),
]
ClipOption = Annotated[bool, typer.Option("--clip", help="Cut boxes that leave their image at its border.")]
ImagesRoot = Annotated[
    Path | None, typer.Option("--images-root", exists=True, help="Folder or zip with the images.")
]
PatientsPattern = Annotated[
    str | None,
    typer.Option(
        "--patients", metavar="PATTERN", help="Regular expression over image paths, with (?P<patient>...)."
    ),
]
PatientsCsv = Annotated[
    Path | None,
    typer.Option("--patients-csv", exists=True, dir_okay=False, help="CSV with path, patient, diagnosis."),
]
PatientsTag = Annotated[
    str | None, typer.Option("--patients-tag", metavar="PATTERN", help="The same over CVAT's image tags.")
]
PatientsAttribute = Annotated[
    str | None,
    typer.Option("--patients-attribute", metavar="NAME", help="CVAT attribute that is the patient's id."),
]
SplitName = Annotated[
    str | None, typer.Option("--split", metavar="NAME", help="The split, if there are several.")
]
