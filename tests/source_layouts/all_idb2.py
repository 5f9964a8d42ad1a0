"""ALL-IDB2: TIFF crops with the label in the file name; two of them show the same cell."""

from __future__ import annotations

from pathlib import Path

from source_layouts import Facts, picture


def make(root: Path) -> Facts:
    folder = root / "ALL_IDB2" / "img"
    for number, label in ((1, 1), (130, 1), (131, 0), (223, 0), (257, 0)):
        size = (257, 260) if number == 130 else (257, 257)
        picture(folder / f"Im{number:03}_{label}.tif", *size, shade=number % 200)
    picture(folder / "Thumbs.tif", 9, 9)
    return Facts(
        root=root,
        images=5,
        raw={"1": 2, "0": 3},
        labels={"Lymphoblast": 2, "ignore": 3},
        warns=r"1 file is left out, since their names are not like Im001_1 \(first: Thumbs\.tif\)",
    )
