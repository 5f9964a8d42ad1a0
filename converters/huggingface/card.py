"""The dataset card: README.md with a header for the Hub and `datasets`, and a text for readers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pcm_leukemia.converters.huggingface.columns import Feature, yaml_features
from pcm_leukemia.converters.huggingface.names import split_names
from pcm_leukemia.converters.huggingface.shards import Shard, Shards
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted
from pcm_leukemia.schema import IGNORE

__all__ = ["PAPER", "SYNTHETIC", "WrittenConfig", "card", "synthetic"]

SYNTHETIC = "SYN-"
"""The prefix of the patient ids in the package's synthetic sample."""

PAPER = (
    "Lin Tun Naing, Apichat Photi-A, Kaung Htet Cho, Matthew N. Dailey, Mongkol Ekpanyapong and Piya "
    "Rujkijyanont: PCM-Leukemia: A Large Scale Dataset for Detection and Classification of Acute Leukemia "
    "Subtypes. Under review for MIDL 2026."
)

_BIBTEX = """```bibtex
@unpublished{pcm_leukemia_paper,
  title  = {PCM-Leukemia: A Large Scale Dataset for Detection and Classification of Acute Leukemia Subtypes},
  author = {Naing, Lin Tun and Photi-A, Apichat and Cho, Kaung Htet and Dailey, Matthew N. and Ekpanyapong, Mongkol and Rujkijyanont, Piya},
  year   = {2026},
  note   = {Under review for MIDL 2026}
}

@software{pcm_leukemia,
  title  = {pcm-leukemia},
  author = {{The pcm-leukemia developers}},
  note   = {Apache-2.0}
}
```"""

_CITATION = f"""The paper describes these data or the protocol used for them; the software wrote the files.

{PAPER}

{_BIBTEX}"""

_TASKS = {"detection": "object-detection", "classification": "image-classification"}


class WrittenConfig(NamedTuple):
    """A configuration on disk: its features, and the files of each split."""

    config: str
    features: dict[str, Feature]
    splits: dict[str, tuple[Shards, list[Shard]]]


def card(
    ds: Dataset,
    crops: Dataset,
    written: list[WrittenConfig],
    padding: int,
    license_name: str | None,
    repo_id: str | None,
) -> str:
    """The text of README.md."""
    import yaml  # here, because most commands need none

    # unsorted and without line breaks, since people read the header too
    header = yaml.safe_dump(
        _header(ds, written, license_name), sort_keys=False, allow_unicode=True, width=2**31
    )
    sections = (
        f"# {_text(ds.name)}",
        *_what_it_is(ds),
        "## How to load it",
        _loading(written, repo_id),
        *_columns(written, padding),
        "## Cells",
        _class_table(ds),
        *(_left_out(ds, crops) if any(each.config == "classification" for each in written) else ()),
        "## Patients and split",
        _part_table(ds),
        *_split_made(ds),
        "## Intended use and limits",
        _LIMITS,
        "## Licence",
        _licence(license_name),
        "## Citation",
        _CITATION,
    )
    return f"---\n{header}---\n\n" + "\n\n".join(sections) + "\n"


# The header


def _header(ds: Dataset, written: list[WrittenConfig], license_name: str | None) -> dict[str, Any]:
    return {
        "pretty_name": ds.name,
        # the Hub's value for a licence that is not stated
        "license": license_name or "unknown",
        "task_categories": [_TASKS[each.config] for each in written],
        "tags": [
            *("medical", "hematology", "leukemia", "blood-smear", "microscopy", "croissant"),
            *(["synthetic"] if synthetic(ds) else []),
        ],
        "size_categories": [_size_category(len(ds.images))],
        "configs": [
            {
                "config_name": each.config,
                "data_files": [
                    {"split": split, "path": f"{each.config}/{split}-*.parquet"} for split in each.splits
                ],
                **({"default": True} if index == 0 else {}),
            }
            for index, each in enumerate(written)
        ],
        "dataset_info": [_info(each) for each in written],
    }


def _info(each: WrittenConfig) -> dict[str, Any]:
    return {
        "config_name": each.config,
        "features": yaml_features(each.features),
        "splits": [
            {"name": split, "num_bytes": shards.arrow_bytes, "num_examples": shards.rows}
            for split, (shards, _) in each.splits.items()
        ],
        "download_size": sum(file.size for _, files in each.splits.values() for file in files),
        "dataset_size": sum(shards.arrow_bytes for shards, _ in each.splits.values()),
    }


def _size_category(images: int) -> str:
    """The Hub's size category for a number of images."""
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")):
        if images < limit:
            return name
    return "100K<n<1M"


# The text


def synthetic(ds: Dataset) -> int:
    """The number of patients that come from the package's synthetic sample."""
    return sum(1 for patient in ds.patients if patient.id.startswith(SYNTHETIC))


def _what_it_is(ds: Dataset) -> Iterator[str]:
    drawn = synthetic(ds)
    if drawn == len(ds.patients) and drawn:
        yield (
            "> **These data are synthetic.** A program (`pcm-leukemia sample`) drew every image, for testing "
            "software. The images show no patients and no real cells: models trained on them, and scores "
            "measured on them, say nothing about leukemia."
        )
    elif drawn:
        yield f"> **{drawn:,} of the {len(ds.patients):,} patients are synthetic**: a program drew their images, which show no real cells."
    cells = sum(cell.label != IGNORE for cell in ds.cells)
    patients = f" of {counted(len(ds.patients), 'patient')}" if ds.patients else ""
    yield (
        f"Blood-smear images{patients} with annotated cells: {counted(len(ds.images), 'image')}, "
        f"{counted(cells, 'box', 'boxes')}, {counted(len(ds.taxonomy.labels), 'class', 'classes')}. Written by pcm-leukemia."
    )


def _loading(written: list[WrittenConfig], repo_id: str | None) -> str:
    config, split = written[0].config, next(iter(written[0].splits))
    where = f'"{repo_id}"' if repo_id else "folder"
    lines = ["from datasets import load_dataset", ""]
    if not repo_id:  # load_dataset(".") fails
        lines = [
            "from pathlib import Path",
            "",
            *lines,
            'folder = str(Path(".").resolve())  # the folder of this file',
        ]
    lines += [
        f'{config} = load_dataset({where}, "{config}")',
        f'first = {config}["{split}"][0]  # first["image"] is a Pillow image',
    ]
    if config == "detection":
        lines.append(f'names = {config}["{split}"].features["objects"]["category"].feature.names')
    else:
        lines.append(f'names = {config}["{split}"].features["label"].names')
    if len(written) > 1:
        lines.append(f'crops = load_dataset({where}, "{written[1].config}")')
    return "```python\n" + "\n".join(lines) + "\n```"


_DETECTION = """`detection`: one row for each image.

| column | content |
|---|---|
| `image` | the original image file, byte for byte |
| `image_id` | the number of the image, from 1, the same in both configurations |
| `width`, `height` | size of the image in pixels |
| `file_name` | path of the image in the annotated export |
| `patient`, `diagnosis` | as given by the owner of the data; empty if unknown |
| `objects` | lists of equal length: `id` (from 1, over all images), `bbox` (x, y, width, height in pixels, as in COCO), `category`, `area` of the box (square pixels), `cell` (number of the cell in the image), `raw_label` (label in the annotation tool) |
| `pcm` | JSON with the rest of the annotations (outlines, attributes, tags), read by `pcm_leukemia.converters.huggingface.read` |"""

_CLASSIFICATION = """`classification`: one row for each cell.

| column | content |
|---|---|
| `image` | PNG of the cell's box plus {padding} px on all sides, cut at the image's border; the pixels are unchanged |
| `label` | class of the cell |
| `image_id`, `file_name`, `cell` | the image that contains the cell, and the number of the cell in it |
| `bbox` | the box in that image: x, y, width, height in pixels |
| `patient`, `diagnosis` | as in `detection` |"""


def _columns(written: list[WrittenConfig], padding: int) -> Iterator[str]:
    for each in written:
        yield _DETECTION if each.config == "detection" else _CLASSIFICATION.format(padding=padding)


def _class_table(ds: Dataset) -> str:
    splits = split_names(ds)
    part_of = {image.id: ds.part_of(image) for image in ds.images}
    found = Counter((cell.label, part_of[cell.image]) for cell in ds.cells)
    counts = [(label, [found[label, part] for part in ds.parts]) for label in ds.taxonomy.labels]
    counts.append(("all", [sum(found[label, part] for label in ds.taxonomy.labels) for part in ds.parts]))
    rows = [(label, *row, sum(row)) for label, row in counts]
    return _table(("class", *splits.values(), "all"), rows)


def _left_out(ds: Dataset, crops: Dataset) -> Iterator[str]:
    left = [label for label in ds.taxonomy.labels if label not in crops.taxonomy.labels]
    if left:
        yield f"`classification` leaves out {', '.join(map(_text, left))}."


def _part_table(ds: Dataset) -> str:
    splits = split_names(ds)
    rows = []
    for part, split in splits.items():
        inside = [image for image in ds.images if ds.part_of(image) == part]
        known = len({image.patient for image in inside if image.patient is not None})
        rows.append((split, len(inside), known, sum(image.patient is None for image in inside)))
    return _table(("split", "images", "patients", "images without a patient"), rows)


def _split_made(ds: Dataset) -> Iterator[str]:
    if ds.split is None:
        yield "The data have no split: all images are in `train`. Split them by patient before training."
        return
    if ds.split.val_shares_patients:
        yield (
            "Training and validation may share patients, because validation was drawn by image. None of their "
            "patients is in another split."
        )
    else:
        yield "No patient is in two splits."
    yield f'How the split "{_text(ds.split.name)}" was made:'
    yield (
        "\n".join(f"- {_text(key)}: {_text(value)}" for key, value in ds.split.made.items())
        or "- not recorded"
    )


_LIMITS = """For research on detecting and classifying white blood cells in blood-smear images, and for testing software for
these tasks. Results are comparable only if the split is kept unchanged.

Not for diagnosis: boxes and classes are human judgements of single cells in images. A diagnosis also needs
the cell count, flow cytometry and genetics. Stain, microscope and camera differ between laboratories, so a
model that performs well here may fail elsewhere. Class frequencies differ widely (see above), so an average
over all cells hides the rare classes. Cells without a box may have been overlooked."""


def _licence(license_name: str | None) -> str:
    if license_name:
        return f"Stated by the owner of the data: {_text(license_name)}."
    return (
        "Unknown: the owner of the data has not stated a licence here. Without one, only the owner may "
        "distribute the data. The licence of the software, Apache-2.0, does not apply to the data."
    )


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    def line(cells: Iterable[object]) -> str:
        shown = (f"{cell:,}" if isinstance(cell, int) else _text(str(cell)) for cell in cells)
        return f"| {' | '.join(shown)} |"

    head = list(head)
    rule = "|" + "|".join(["---", *(["---:"] * (len(head) - 1))]) + "|"
    return "\n".join((line(head), rule, *map(line, rows)))


def _text(text: str) -> str:
    """Text from the data on one line, with Markdown escaped."""
    return re.sub(r"([\\`*\[\]<>|#~$&])", r"\\\1", " ".join(text.split()))
