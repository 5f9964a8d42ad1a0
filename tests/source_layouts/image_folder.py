"""A lab's own crops below train, valid and test, with folders that need a map, and a patient a folder."""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.patients import Table
from source_layouts import Facts, picture


def make(root: Path) -> Facts:
    top = root / "crops"
    files = (
        "train/L1 blasts/P1/a.png",
        "train/neutrophils/P1/b.jpg",
        "valid/L1 blasts/P2/a.png",
        "test/debris/P3/a.bmp",
        "test/neutrophils/P3/b.tif",
    )
    for shade, file in enumerate(files):
        picture(top / file, 30 + shade, 40, shade=50 * shade)
    picture(top / "train" / "overview.png", 90, 90)
    table = root / "patients.csv"
    rows = ["path,patient,diagnosis", "train/*/P1/*,P1,ALL", "valid/*/P2/*,P2,ALL", "test/*/P3/*,P3,"]
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Facts(
        root=top,
        images=5,
        raw={"L1 blasts": 2, "neutrophils": 2, "debris": 1},
        labels={"Lymphoblast": 2, "Neutrophil": 2, "ignore": 1},
        patients={"P1": "ALL", "P2": "ALL", "P3": None},
        parts={"train": 2, "val": 1, "test": 2},
        options={"labels": {"L1 blasts": "Lymphoblast", "debris": "ignore"}, "patients": Table(table)},
        warns="1 image is in no class folder and left out, the first train/overview.png",
    )
