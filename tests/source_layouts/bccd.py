"""BCCD: Pascal VOC with corners counted from 1, a box without area, and lists of the parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from source_layouts import Facts, picture

Row = tuple[str, int, int, int, int]


def annotation(stem: str, rows: Sequence[Row]) -> str:
    """One file as labelImg writes it; the corners are whole pixels, both inside the box."""
    objects = "".join(
        f"<object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>"
        f"<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, x1, y1, x2, y2 in rows
    )
    return (
        f"<annotation verified='no'><folder>RBC</folder><filename>{stem}.jpg</filename>"
        f"<size><width>640</width><height>480</height><depth>3</depth></size>{objects}</annotation>"
    )


def write(root: Path, images: Mapping[str, Sequence[Row]], parts: Mapping[str, list[str]]) -> None:
    """The annotations and the lists; the images are written by the caller."""
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for stem, rows in images.items():
        (root / "Annotations" / f"{stem}.xml").write_text(annotation(stem, rows), encoding="utf-8")
    for part, stems in parts.items():
        (root / "ImageSets" / "Main" / f"{part}.txt").write_text("\n".join(stems) + "\n", encoding="utf-8")


def make(root: Path) -> Facts:
    top = root / "BCCD_Dataset" / "BCCD"
    images: dict[str, Sequence[Row]] = {
        "BloodImage_00000": [("WBC", 260, 177, 491, 376), ("RBC", 1, 1, 640, 480)],
        "BloodImage_00002": [("RBC", 10, 10, 20, 30), ("Platelets", 600, 400, 640, 480)],
        "BloodImage_00338": [("RBC", 504, 337, 504, 337), ("RBC", 5, 6, 7, 9)],
    }
    stems = list(images)
    lists = {"train": stems[:1], "val": stems[1:2], "test": stems[2:], "trainval": stems[:2]}
    write(top, images, lists)
    for shade, stem in enumerate(images):
        picture(top / "JPEGImages" / f"{stem}.jpg", 640, 480, shade=100 + shade)
    return Facts(
        root=root,
        images=3,
        raw={"WBC": 1, "RBC": 3, "Platelets": 1},
        labels={"WBC": 1, "RBC": 3, "Platelets": 1},
        parts={"train": 1, "val": 1, "test": 1},
        spoil=(top / "JPEGImages" / "BloodImage_00002.jpg").unlink,
        said="has no BloodImage_00002.jpg, which Annotations lists; download BCCD again in full",
        warns=r"1 box has no area and is left out:\nBloodImage_00338\.xml: RBC at \(504, 337, 504, 337\)",
    )
