"""The arguments and options that several commands share, and what they may be."""

from __future__ import annotations

import shlex
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pcm_leukemia import converters, store
from pcm_leukemia.cli.explaining import READING
from pcm_leukemia.cli.usage import WrongUsage
from pcm_leukemia.files import CACHE
from pcm_leukemia.label_maps import read_label_map
from pcm_leukemia.patients import Attribute, Table, Tag
from pcm_leukemia.remote import is_url, was_url, without_secrets
from pcm_leukemia.schema import IGNORE, UNTYPED
from pcm_leukemia.sources import split_name
from pcm_leukemia.taxonomy import NINE

__all__ = [
    "DATA_HELP",
    "AsJson",
    "Batch",
    "BatchNorm",
    "BatchNorms",
    "ClipOption",
    "Dask",
    "Data",
    "Device",
    "Devices",
    "Export",
    "Format",
    "ImagesOrData",
    "ImagesRoot",
    "MapFile",
    "MapOption",
    "ModelRuns",
    "NoCache",
    "Part",
    "PatientsAttribute",
    "PatientsCsv",
    "PatientsPattern",
    "PatientsSame",
    "PatientsTag",
    "Preset",
    "Presets",
    "PseudonymsFile",
    "RowsOption",
    "Seed",
    "SplitName",
    "Tasks",
    "Taxonomies",
    "TaxonomyOption",
    "Threads",
    "ValUnit",
    "Variant",
    "Workers",
    "WrongUsage",
    "all_labels",
    "all_there",
    "cache_of",
    "executor_at",
    "labels_of",
    "patients_of",
    "same_patients_of",
    "taxonomy_of",
    "there",
]

Format = StrEnum("Format", converters.names())  # type: ignore[misc]  # the folder is the registry


class Taxonomies(StrEnum):
    """The classes that data are read into."""

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


class Presets(StrEnum):
    """How large a run is."""

    paper = "paper"
    quick = "quick"
    smoke = "smoke"


class BatchNorms(StrEnum):
    """Whose batch-norm statistics a classifier uses."""

    run = "run"
    target = "target"


class Rows(StrEnum):
    """The meaning of a row in a YOLO label file; box and outline also for COCO."""

    box = "box"
    outline = "outline"
    obb = "obb"
    pose = "pose"


# Arguments that several commands share


def there(path: Path) -> Path:
    """Refuse a path where nothing is, as typer does, unless it names a public data set."""
    named = split_name(path)
    if was_url(named[1] if named else path):
        raise WrongUsage(
            f"{without_secrets(str(path))}: is a URL, and annotations are read from disk; download them, and give the URL of the "
            "images: --images-root"
        )
    if named is None and not path.exists():
        name, colon, _ = str(path).partition(":")
        unknown = f", and no public data set is called {name}: see pcm-leukemia sources" if colon else ""
        raise typer.BadParameter(f"Path '{path}' does not exist{unknown}.")
    return path


def all_there(paths: list[Path] | None) -> list[Path]:
    """`there`, for an option with several values."""
    return [there(path) for path in paths or ()]


def there_or_remote(place: str | None) -> str | None:
    """Refuse a path where nothing is, as typer does; a URL is asked when it is read."""
    if place is not None and not is_url(place) and not Path(place).exists():
        raise typer.BadParameter(f"Path '{place}' does not exist.")
    return place


DATA_HELP = (
    "A CVAT export; a canonical folder, which is one that import made; a YOLO, COCO or Hugging Face folder; or NAME:ROOT of a "
    "public data set."
)
Data = Annotated[Path, typer.Argument(metavar="DATA", callback=there, help=DATA_HELP)]
Export = Annotated[
    Path, typer.Argument(metavar="EXPORT", exists=True, help="A CVAT export: .xml, .zip or a folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
TaxonomyOption = Annotated[
    Taxonomies | None,
    typer.Option(
        "--taxonomy",
        rich_help_panel=READING,
        help="The classes: pcm-leukemia, the nine; declared, the labels in the data, and new ones that --map names.",
        show_default="the nine for a CVAT export and image_folder, those in the data for other formats",
    ),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        rich_help_panel=READING,
        metavar="LABEL=CLASS...",
        help="Read LABEL as CLASS; LABEL=WBC: a white cell of unknown type; LABEL=ignore: neither a cell nor background.",
    ),
]
MapFile = Annotated[
    Path | None,
    typer.Option(
        "--map-file",
        rich_help_panel=READING,
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="The same from a table (CSV or .xlsx) with the columns label and class.",
    ),
]
ClipOption = Annotated[
    bool,
    typer.Option("--clip", rich_help_panel=READING, help="Cut boxes that leave their image at its border."),
]
RowsOption = Annotated[
    Rows | None,
    typer.Option(
        "--rows",
        rich_help_panel=READING,
        help="YOLO: what a row of a label file is, if data.yaml does not say it. COCO: box or outline, whichever counts where "
        "they contradict each other.",
    ),
]
ImagesRoot = Annotated[
    str | None,
    typer.Option(
        "--images-root",
        rich_help_panel=READING,
        metavar="PATH",
        callback=there_or_remote,
        help="Folder or zip with the images, or its URL: s3://bucket/frames.",
    ),
]
PatientsPattern = Annotated[
    str | None,
    typer.Option(
        "--patients",
        rich_help_panel=READING,
        metavar="PATTERN",
        help="Regular expression over image paths, with (?P<patient>...).",
    ),
]
PatientsCsv = Annotated[
    Path | None,
    typer.Option(
        "--patients-csv",
        rich_help_panel=READING,
        exists=True,
        dir_okay=False,
        help="Table (CSV or .xlsx) with the columns path, patient and diagnosis; beside another --patients option: patient and "
        "diagnosis.",
    ),
]
PatientsTag = Annotated[
    str | None,
    typer.Option(
        "--patients-tag",
        rich_help_panel=READING,
        metavar="PATTERN",
        help="The same, over the labels of CVAT's image tags.",
    ),
]
PatientsAttribute = Annotated[
    str | None,
    typer.Option(
        "--patients-attribute",
        rich_help_panel=READING,
        metavar="NAME",
        help="CVAT attribute that is the patient's id.",
    ),
]
PatientsSame = Annotated[
    list[str] | None,
    typer.Option(
        "--patients-same",
        rich_help_panel=READING,
        metavar="ID=ID...",
        help="Patients that are one under two spellings, and the id that is kept: 007=7.",
    ),
]
PseudonymsFile = Annotated[
    Path | None,
    typer.Option(
        "--pseudonyms",
        metavar="FILE",
        help="Replace the ids of patients by pseudonyms. FILE leads back to patients: it is made, or added to, and must not be "
        "passed on.",
    ),
]
SplitName = Annotated[
    str | None,
    typer.Option(
        "--split", rich_help_panel=READING, metavar="NAME", help="The split to use, if there are several."
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        rich_help_panel=READING,
        metavar="NAME",
        help="How the labels of a public data set are read; see pcm-leukemia sources NAME.",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of the random draws.")]
Threads = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads.", show_default="one per core")
]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="Open the images on the workers of a Dask cluster: tcp://HOST:PORT of its scheduler, or its scheduler file.",
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache", help=f"Read every image again, and keep nothing in {CACHE} of a canonical folder."
    ),
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:1.")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0, help="Processes or threads that load images.", show_default="one per core, at most 16"
    ),
]
BatchNorm = Annotated[
    BatchNorms, typer.Option(help="Classifiers: batch-norm statistics of the run, or of the scored cells.")
]
Devices = Annotated[int, typer.Option(min=1, help="How many GPUs.")]
Preset = Annotated[Presets, typer.Option(help="The paper's numbers, or a smaller run.")]
ModelRuns = Annotated[
    list[Path], typer.Argument(metavar="RUN", help="A detector's run; and a classifier's, for two stages.")
]
ImagesOrData = Annotated[
    Path, typer.Argument(metavar="IMAGES", callback=there, help="A folder or zip of images, or a data set.")
]
Batch = Annotated[int, typer.Option(min=1, help="Images in a batch.")]
Part = Annotated[
    str | None, typer.Option(metavar="PART", help="The part.", show_default="test; all if there is no split")
]


# From options to a data set


def taxonomy_of(taxonomy: Taxonomies | None) -> dict[str, Any]:
    """--taxonomy as the argument of a reader; none if it is not given, since the default differs between formats."""
    if taxonomy is None:
        return {}
    return {"taxonomy": "declared" if taxonomy is Taxonomies.declared else NINE}


def patients_of(
    pattern: str | None, csv: Path | None, tag: str | None, attribute: str | None
) -> str | Table | Tag | Attribute | None:
    """Where the patient of each image is; the table of --patients-csv may have diagnoses alone, beside another option."""
    given: list[str | Table | Tag | Attribute] = [
        *([pattern] if pattern is not None else []),
        *([Tag(tag)] if tag is not None else []),
        *([Attribute(attribute)] if attribute is not None else []),
    ]
    if len(given) > 1:
        raise WrongUsage(
            "patients are given in more than one way; give one of --patients, --patients-tag and --patients-attribute, or "
            "--patients-csv"
        )
    if not given and csv:
        return Table(csv)
    return given[0] if given else None


def same_patients_of(pairs: list[str] | None) -> dict[str, str]:
    """--patients-same ID=ID as a mapping."""
    return _mapping("--patients-same", pairs, "ID=ID, the id that is kept last")


def executor_at(dask: str | None, workers: int | None = None) -> AbstractContextManager[Executor | None]:
    """--dask as the `executor` of the functions that open images: None, for threads here, without the option."""
    if dask is None:
        return nullcontext()
    if workers is not None:
        raise WrongUsage("--workers is for threads here, and --dask has workers elsewhere; leave one out")
    from pcm_leukemia.execution import Cluster

    return Cluster(dask)


def cache_of(data: Path, *, no_cache: bool) -> Path | None:
    """Where a check of these data keeps what it has read of the images: a canonical folder, or nowhere."""
    return data if store.recognises(data) and not no_cache else None


def labels_of(pairs: list[str] | None) -> dict[str, str]:
    """--map LABEL=CLASS as a mapping."""
    form = "LABEL=CLASS, LABEL=WBC or LABEL=ignore; the reading of a public data set is --variant"
    labels = _mapping("--map", pairs, form)
    return {raw: IGNORE if label.casefold() == IGNORE else label for raw, label in labels.items()}


def all_labels(file: Path | None, pairs: list[str] | None, taxonomy: Taxonomies | None) -> dict[str, str]:
    """--map-file and --map as one mapping, in which "WBC" is in capitals unless it may be a class of `taxonomy`."""
    written, typed = read_label_map(file) if file else {}, labels_of(pairs)
    for label in written.keys() & typed.keys():
        if written[label] != typed[label]:
            raise WrongUsage(
                f'--map "{label}={typed[label]}": {file} reads {label} as {written[label]}; keep one of them'
            )
    labels = written | typed
    if taxonomy is Taxonomies.declared:
        return labels
    return {raw: UNTYPED if label.upper() == UNTYPED else label for raw, label in labels.items()}


def _mapping(option: str, pairs: list[str] | None, form: str) -> dict[str, str]:
    """A repeated option LEFT=RIGHT as a mapping; the last "=" divides."""
    found: dict[str, str] = {}
    for pair in pairs or ():
        if several := _pairs_in(pair):
            spaced = " ".join(map(shlex.quote, several))
            raise WrongUsage(f'{option} "{pair}": takes pairs apart from each other; give {option} {spaced}')
        left, equals, right = pair.rpartition("=")
        if not equals or not right:
            raise WrongUsage(f'{option} "{pair}": must be {form}')
        if found.setdefault(left, right) != right:
            raise WrongUsage(f'{option} "{pair}": {left} is {found[left]} already')
    return found


def _pairs_in(word: str) -> list[str]:
    """The pairs in one word that was typed as A=x,B=y; none if it is one pair, which may have a comma in its label."""
    for separator in (",", ";", None):
        pieces = [piece.strip() for piece in word.split(separator) if piece.strip()]
        if len(pieces) > 1 and all("=" in piece for piece in pieces):
            return pieces
    return []
