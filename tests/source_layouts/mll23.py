"""MLL23: one folder a class, TIFF files whose extension is in capitals."""

from __future__ import annotations

from pathlib import Path

from source_layouts import Facts, picture

CLASSES = (
    "basophil",
    "eosinophil",
    "hairy_cell",
    "lymphocyte",
    "lymphocyte_large_granular",
    "lymphocyte_neoplastic",
    "lymphocyte_reactive",
    "metamyelocyte",
    "monocyte",
    "myeloblast",
    "myelocyte",
    "neutrophil_band",
    "neutrophil_segmented",
    "normoblast",
    "plasma_cell",
    "promyelocyte",
    "promyelocyte_atypical",
    "smudge_cell",
)


def make(root: Path) -> Facts:
    for label in CLASSES:
        picture(root / label / f"{label}_00001.TIF", 288, 288)
    picture(root / "myeloblast" / "myeloblast_00002.TIF", 288, 288)
    return Facts(
        root=root,
        images=19,
        raw={**dict.fromkeys(CLASSES, 1), "myeloblast": 2},
        labels={
            "Lymphocyte": 3,
            "Neutrophil": 2,
            "Basophil": 1,
            "Eosinophil": 1,
            "Monocyte": 1,
            "Myeloblast_AML": 2,
            "Myeloblast_APL": 1,
            "Other": 7,
            "ignore": 1,
        },
    )
