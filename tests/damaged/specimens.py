"""What is damaged: the smallest whole input of every reader, drawn by code.

Formats and public data sets are found as the package finds them, so that a new one is damaged without further code.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import msgspec
import PIL.Image

from pcm_leukemia import (
    NINE,
    Box,
    Cell,
    Dataset,
    Image,
    Patient,
    Split,
    converters,
    load_dataset,
    sources,
    splits,
    store,
)
from pcm_leukemia.bare_images import read as read_images
from pcm_leukemia.cli.format_options import options_of
from pcm_leukemia.converters.coco import read_results
from pcm_leukemia.converters.crops import read_table
from pcm_leukemia.patients import Table, assign
from pcm_leukemia.schema import ImageId, PatientId, Tag
from pcm_leukemia.shapes import Ellipse, Mask, Polygon, RotatedBox, Shape

__all__ = ["MAKERS", "WEIGHTS"]

Read: TypeAlias = Callable[[Random], object]
"""Reads the input, in one of its ways."""
Maker: TypeAlias = Callable[[Path], Read]
"""Writes the input into a folder."""


def small(folder: Path) -> Dataset:
    """Two patients with an image each, in two parts, with every kind of shape."""
    images = []
    for number, name in enumerate(("P1/a.png", "P2/b.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (20, 10), (99 * number, 9, 9)).save(folder / name)
        tags = (Tag("stain", (("by", "hand"),), "manual", 1),) if number else ()
        images.append(Image(ImageId(name), 20, 10, PatientId(name[:2]), file=name, tags=tags))
    first, second = (image.id for image in images)
    shapes: tuple[Shape, ...] = (
        Polygon(((1.0, 1.0), (5.0, 1.0), (5.0, 4.0))),
        Mask(1, 1, 4, 3, (0, 12)),
        RotatedBox(1.0, 1.0, 5.0, 4.0, 180.0),
        Ellipse(3.0, 2.5, 2.0, 1.5),
    )
    cells = [
        Cell(first, number, "Monocyte", Box(1, 1, 5, 4), "mono", shape, z_order=1, attributes=(("by", "A"),))
        for number, shape in enumerate(shapes)
    ]
    cells.append(
        Cell(second, 0, "Other", Box(2, 2, 9, 9.5), "other", occluded=True, source="manual", group=2)
    )
    people = (Patient(PatientId("P1"), "AML"), Patient(PatientId("P2")))
    split = Split("official", {first: "train", second: "val"}, {"method": "by hand"})
    return Dataset("small", NINE, tuple(images), tuple(cells), people, split, folder)


def loading(path: Path) -> Read:
    """Read with `load_dataset`, sometimes without opening the images, and with its commonest options."""

    def read(rng: Random) -> Dataset:
        options: dict[str, Any] = {}
        if rng.random() < 0.5:
            options["check_images"] = False
        if rng.random() < 0.2:
            options["taxonomy"] = rng.choice((NINE, "declared"))
        return load_dataset(path, **options)

    return read


# Formats that the package writes


def canonical(folder: Path) -> Read:
    ds = small(folder / "pictures")
    store.write(ds, folder / "canonical")

    def read(rng: Random) -> Dataset:
        if rng.random() < 0.1:
            return load_dataset(folder / "canonical")
        return store.read(folder / "canonical", verify=False, check_images=rng.random() < 0.2)

    return read


def written_as(name: str) -> Maker:
    def make(folder: Path) -> Read:
        options = {"images": "copy"} if "images" in {option.name for option in options_of(name)} else {}
        report = converters.get(name).write(small(folder / "pictures"), folder / name, **options)
        for file in sorted((folder / "pictures").rglob("*.png")):
            file.unlink()
        return loading(report.out)

    return make


# What other tools write


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (20, 10), (120, 9, 9)).save(path)


def other_yolo(rows: str, more: str = "") -> Maker:
    def make(folder: Path) -> Read:
        for part in ("train", "valid"):
            picture(folder / part / "images" / f"{part}.png")
            (folder / part / "labels").mkdir()
            (folder / part / "labels" / f"{part}.txt").write_text(rows, encoding="utf-8")
        (folder / "list.txt").write_text("./valid/images/valid.png\n", encoding="utf-8")
        text = f"train: train/images\nval: list.txt\nnc: 2\nnames: ['Monocyte', 'Other']\n{more}"
        (folder / "data.yaml").write_text(text, encoding="utf-8")
        return loading(folder)

    return make


def other_coco(folder: Path) -> Read:
    for part in ("train", "val"):
        picture(folder / "images" / f"{part}.png")
        annotation: dict[str, Any] = {
            "image_id": 7,
            "category_id": 1,
            "area": 12,
            "iscrowd": 0,
            "bbox": [1, 1, 4, 3],
        }
        content = {
            "info": {"description": "other"},
            "licenses": [{"id": 1, "name": "", "url": ""}],
            "images": [{"id": 7, "file_name": f"{part}.png", "width": 20, "height": 10, "license": 1}],
            "annotations": [
                {
                    "id": 1,
                    **annotation,
                    "segmentation": [[1, 1, 5, 1, 5, 4]],
                    "attributes": {"rotation": 30.5},
                },
                {
                    "id": 2,
                    **annotation,
                    "segmentation": {"counts": [11, 3, 7, 3, 7, 3, 7, 3, 156], "size": [10, 20]},
                    "iscrowd": 1,
                },
                {"id": 3, **annotation, "keypoints": [1, 1, 2], "num_keypoints": 1, "score": 0.5},
            ],
            "categories": [
                {"id": 1, "name": "Monocyte", "supercategory": "cell"},
                {"id": 2, "name": "Other"},
            ],
        }
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(content), encoding="utf-8")
    return loading(folder)


_SHAPE = 'label="Monocyte" source="manual" occluded="0" z_order="0"'
_VIDEO = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><id>1</id><name>t</name><size>3</size><mode>interpolation</mode>
<labels><label><name>Monocyte</name><attributes></attributes></label></labels>
<original_size><width>20</width><height>10</height></original_size></task></meta>
<track id="0" label="Monocyte" source="manual">
<box frame="0" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="5" ybr="4" z_order="0"></box>
<box frame="2" keyframe="1" outside="1" occluded="0" xtl="2" ytl="1" xbr="5" ybr="4" z_order="0"></box>
</track></annotations>
"""
_IMAGES = f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><project><id>1</id><name>p</name><subsets>Train</subsets>
<tasks><task><id>1</id><name>t</name><subset>Train</subset></task></tasks>
<labels><label><name>Monocyte</name><attributes><attribute><name>by</name></attribute></attributes></label></labels>
</project></meta>
<image id="0" name="a.png" subset="Train" task_id="1" width="20" height="10"><tag label="Monocyte" source="manual"></tag>
<box {_SHAPE} xtl="1.00" ytl="1.00" xbr="5.00" ybr="4.00" rotation="20.5"><attribute name="by">A</attribute></box>
<polygon {_SHAPE} points="1.00,1.00;5.00,1.00;5.00,4.00"></polygon><points {_SHAPE} points="3.00,3.00"></points>
<ellipse {_SHAPE} cx="4.00" cy="4.00" rx="2.00" ry="1.00"></ellipse>
<mask {_SHAPE} rle="2, 4" left="1" top="1" width="3" height="2"></mask></image></annotations>
"""


def exported(text: str) -> Maker:
    def make(folder: Path) -> Read:
        (folder / "annotations.xml").write_text(text, encoding="utf-8")
        picture(folder / "images" / "Train" / "a.png")
        return loading(folder)

    return make


# Public data sets


def public(name: str) -> Maker:
    def make(folder: Path) -> Read:
        facts = import_module(f"source_layouts.{name}").make(folder)
        reader: Any = sources.module(name).read
        return lambda _: reader(facts.root, **facts.options)

    return make


# Tables beside the data


def split_file(folder: Path) -> Read:
    splits.write(
        small(folder / "pictures").split or Split("", {}), folder / "official.csv", small(folder / "pictures")
    )
    return lambda _: splits.read(folder / "official.csv")


def split_lists(folder: Path) -> Read:
    ds = small(folder / "pictures")
    (folder / "train.txt").write_text("P1/a.png\n", encoding="utf-8")
    (folder / "test.txt").write_text("images/P2/b\n", encoding="utf-8")
    lists = {part: folder / f"{part}.txt" for part in ("train", "test")}
    return lambda _: splits.from_lists(ds, lists)


def patients_table(folder: Path) -> Read:
    ds = small(folder / "pictures")
    plain = dataclasses.replace(
        ds,
        images=tuple(dataclasses.replace(image, patient=None) for image in ds.images),
        patients=(),
        split=None,
    )
    rows = "path,patient,diagnosis\nP1/a.png,P1,AML\nP2,P2,\nP*/c.png,P3,ALL\n"
    (folder / "patients.csv").write_text(rows, encoding="utf-8")
    return lambda _: assign(plain, Table(folder / "patients.csv"))


def coco_results(folder: Path) -> Read:
    ds = small(folder / "pictures")
    rows = [{"image_id": 1, "category_id": 9, "bbox": [1, 1, 4.5, 3], "score": 0.875}]
    (folder / "results.json").write_text(json.dumps(rows), encoding="utf-8")
    return lambda _: read_results(folder / "results.json", ds)


def crops_table(folder: Path) -> Read:
    converters.get("crops").write(small(folder / "pictures"), folder / "crops")
    return lambda _: read_table(folder / "crops")


def bare_images(folder: Path) -> Read:
    small(folder / "pictures")
    return lambda _: read_images(folder / "pictures")


def run_record(folder: Path) -> Read:
    from pcm_leukemia import baselines

    baselines.module("resnet50")  # its libraries take seconds

    settings = msgspec.to_builtins(baselines.config.settings(baselines.config.find("resnet50")))
    asked = {"baseline": "resnet50", "task": "classification", "labels": ["Monocyte"], "settings": settings}
    record = {"state": "done", "asked": asked, "data": {"name": "small"}, "versions": {}}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    store.write(small(folder / "pictures"), folder / "data")

    def read(_: Random) -> object:
        run = baselines.Run.open(folder)
        return repr(run), run.labels, run.done, run.settings, run.dataset()

    return read


BESIDE: Mapping[str, Maker] = {
    "split file": split_file,
    "split lists": split_lists,
    "patients": patients_table,
    "results": coco_results,
    "crops": crops_table,
    "bare images": bare_images,
    "run": run_record,
}
OTHERS: Mapping[str, Maker] = {
    "other yolo": other_yolo("0 0.5 0.5 0.2 0.2\n1 0.8 0.8 0.95 0.8 0.95 0.95\n"),
    "other yolo pose": other_yolo("0 0.5 0.5 0.2 0.2 0.5 0.5 2\n", "kpt_shape: [1, 3]\nflip_idx: [0]\n"),
    "other yolo detection": other_yolo("0 0.5 0.5 0.2 0.2\n", "path: .\ntest:\nroboflow:\n  version: 1\n"),
    "other coco": other_coco,
    "cvat video": exported(_VIDEO),
    "cvat images": exported(_IMAGES),
}
FORMATS: Mapping[str, Maker] = {
    "canonical": canonical,
    **{name: written_as(name) for name in converters.names() if hasattr(converters.get(name), "read")},
}

MAKERS: Mapping[str, Maker] = {
    **FORMATS,
    **OTHERS,
    **BESIDE,
    **{name: public(name) for name in sources.names()},
}
"""The name of an input -> what makes it."""

WEIGHTS: Mapping[str, float] = {
    **dict.fromkeys(MAKERS, 1.0),
    **dict.fromkeys(("canonical", "coco", *OTHERS, *BESIDE), 4.0),
    **dict.fromkeys((name for name in MAKERS if "yolo" in name), 2.0),
    **dict.fromkeys(("huggingface", "cvat", "run", "bare images"), 0.5),
    **dict.fromkeys(sources.names(), 0.2),
}
"""How often each is damaged, so that slow readers do not take most of the time."""
