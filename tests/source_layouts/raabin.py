"""Raabin-WBC: the cropped release, and full frames with the boxes and labels of two experts.

Traps: TestB has two of the five classes; slides are in Train and in TestA; basophils of one patient are named
by date and time. Frames: coordinates are strings or numbers; either label may be null; boxes of the second
microscope lie on the frame turned by 90 degrees; a JSON file may hold no cell, and a frame may have none.

Of TestB's file names and of the frames' nothing is known; these here are made up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from source_layouts import Facts, picture

CROPS = {
    "Train/Basophil": ("20190526_163055_0", "20190531_114409_2"),
    "Train/Eosinophil": ("95-8-10-1_527_1",),
    "Train/Lymphocyte": ("95-8-17-3_25_2", "95-8-17-3_25_1"),
    "Train/Monocyte": ("95-8-6-1_309_3",),
    "Train/Neutrophil": ("95-8-12-1_7_1", "95-8-12-1_9_1", "95-9-3-4_173_1"),
    "TestA/Basophil": ("20190604_111002_1",),
    "TestA/Eosinophil": ("95-8-10-1_12_1",),
    "TestA/Lymphocyte": ("95-8-17-3_14_1",),
    "TestA/Monocyte": ("95-8-6-1_451_2",),
    "TestA/Neutrophil": ("95-9-3-5_146_2",),
    "TestB/Lymphocyte": ("20190710_101112_0",),
    "TestB/Neutrophil": ("20190710_101112_1", "cell 7"),
}
WIDE = (320, 240)
"""Pixels of a frame as it is stored; the real ones are photographs of the same shape."""

Labelled: TypeAlias = tuple[Sequence[object], object, object]
"""``(x1, x2, y1, y2), Label1, Label2``."""


def make(root: Path) -> Facts:
    counts: dict[str, int] = {}
    for folder, names in CROPS.items():
        label = folder.partition("/")[2]
        counts[label] = counts.get(label, 0) + len(names)
        for number, name in enumerate(names):
            side = (575, 490)[number % 2]
            picture(root / "Cropped_double_labeled" / folder / f"{name}.jpg", side, side)
    return Facts(root=root, images=17, raw=counts, labels=counts)


def write_frame(
    album: Path, stem: str, cells: Sequence[Labelled] | None, size: tuple[int, int] = WIDE
) -> None:
    """One frame, with its JSON file unless `cells` is None."""
    picture(album / "images" / f"{stem}.jpg", *size)
    if cells is None:
        return
    content: dict[str, object] = {"Cell Numbers": len(cells)}
    for number, (corners, first, second) in enumerate(cells):
        row = dict(zip(("x1", "x2", "y1", "y2"), corners, strict=True))
        content[f"Cell_{number}"] = {**row, "Label1": first, "Label2": second}
    path = album / "jsons" / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_frames(root: Path) -> Path:
    """Write an album of each microscope below `root`; gives `root`."""
    upright, turned = root / "First_microscope" / "95-5-11-1", root / "Second_microscope" / "Album_4"
    write_frame(
        upright,
        "1",
        [
            (("250", "300", "20", "70"), "Neutrophil", "Neutrophil"),
            ((10, 60, 100, 150), "Band", "Neutrophil"),
            ((100, 150, 100, 150), "Small Lymph", None),
        ],
    )
    write_frame(upright, "2", [((5, 45, 5, 45), "Artifact", "Artifact")])
    write_frame(upright, "3", [])
    write_frame(upright, "4", None)
    write_frame(turned, "1", [((20, 70, 250, 300), "Large Lymph", "Large Lymph")])
    write_frame(turned, "2", [((5, 45, 5, 45), None, None), ((100.0, 150.0, 60, 110), "Meta", "Meta")])
    return root
