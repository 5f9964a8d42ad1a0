"""`PBC_dataset_normal_DIB` as unpacked from Mendeley's zip, and the CSVs of WBCAtt.

Traps: prefixes that are finer than the folder, images of several sizes, a hidden file that is not an image,
and attributes with the value "nil", for some images only.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from source_layouts import Facts, picture

CELLS = {
    "basophil/BA": 2,
    "eosinophil/EO": 2,
    "erythroblast/ERB": 2,
    "ig/IG": 1,
    "ig/MMY": 2,
    "ig/MY": 2,
    "ig/PMY": 1,
    "lymphocyte/LY": 2,
    "monocyte/MO": 2,
    "neutrophil/BNE": 2,
    "neutrophil/NEUTROPHIL": 1,
    "neutrophil/SNE": 2,
    "platelet/PLATELET": 2,
}
SIZES = ((360, 363), (366, 369), (360, 362))
WBCATT = {
    "img_name": "",
    "label": "Lymphocyte",
    "cell_size": "small",
    "cell_shape": "round",
    "nucleus_shape": "unsegmented-round",
    "nuclear_cytoplasmic_ratio": "high",
    "chromatin_density": "densely",
    "cytoplasm_vacuole": "no",
    "cytoplasm_texture": "clear",
    "cytoplasm_colour": "light blue",
    "granule_type": "nil",
    "granule_colour": "nil",
    "granularity": "no",
    "path": "",
}
"""A row of WBCAtt, in the order of its columns."""


def make(root: Path) -> Facts:
    number = 2500
    for code, count in CELLS.items():
        for _ in range(count):
            number += 37
            picture(root / "PBC_dataset_normal_DIB" / f"{code}_{number}.jpg", *SIZES[number % 3])
    (root / "PBC_dataset_normal_DIB" / "neutrophil" / ".DS_169665.jpg").write_bytes(b"\0\0\0\1Bud1\0")
    return Facts(
        root=root,
        images=sum(CELLS.values()),
        raw=CELLS,
        labels={
            "Basophil": 2,
            "Eosinophil": 2,
            "Lymphocyte": 2,
            "Monocyte": 2,
            "Neutrophil": 5,
            "Other": 8,
            "ignore": 2,
        },
    )


def write_wbcatt(folder: Path, paths: Mapping[str, Sequence[str]], **other: str) -> Path:
    """Write ``pbc_attr_v1_<part>.csv`` with a row for each path; `other` are values that differ from `WBCATT`."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in paths.items():
        with (folder / f"pbc_attr_v1_{part}.csv").open("w", newline="", encoding="utf-8") as stream:
            table = csv.DictWriter(stream, tuple(WBCATT))
            table.writeheader()
            for path in rows:
                table.writerow({**WBCATT, **other, "img_name": path.rpartition("/")[2], "path": path})
    return folder
