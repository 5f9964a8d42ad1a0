"""Bone-Marrow-Cytomorphology: one folder per code, with subfolders of a thousand images each if there are more.

Traps: the subfolders are not classes, and the last one is not full; some codes mean other cells in LMU's data.
"""

from __future__ import annotations

from pathlib import Path

from source_layouts import Facts, picture

FILES = {
    "ABE": ("",),
    "ART": ("0001-1000/", "1001-2000/"),
    "BAS": ("",),
    "BLA": ("0001-1000/", "11001-11973/"),
    "EBO": ("0001-1000/", "27001-27395/"),
    "EOS": ("0001-1000/",),
    "FGC": ("",),
    "HAC": ("",),
    "KSC": ("",),
    "LYI": ("",),
    "LYT": ("0001-1000/",),
    "MMZ": ("0001-1000/",),
    "MON": ("0001-1000/",),
    "MYB": ("0001-1000/",),
    "NGB": ("0001-1000/", "9001-9968/"),
    "NGS": ("0001-1000/", "18001-19000/"),
    "NIF": ("0001-1000/",),
    "OTH": ("",),
    "PEB": ("0001-1000/",),
    "PLM": ("0001-1000/",),
    "PMO": ("0001-1000/",),
}


def make(root: Path) -> Facts:
    for code, folders in FILES.items():
        for folder in folders:
            number = int(folder.partition("-")[0] or 1)
            picture(root / "BM_cytomorphology_data" / code / f"{folder}{code}_{number:05}.jpg", 250, 250)
    return Facts(
        root=root,
        images=26,
        raw={code: len(folders) for code, folders in FILES.items()},
        labels={
            "Neutrophil": 4,
            "Lymphocyte": 1,
            "Basophil": 1,
            "Eosinophil": 2,
            "Monocyte": 1,
            "Myeloblast_APL": 1,
            "Other": 8,
            "ignore": 8,
        },
    )
