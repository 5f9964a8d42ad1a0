"""APL_AML: one folder per patient, signed and unsigned slides, one folder per class, and master.csv.

Traps: the folder `Arifact`; a class whose name has a comma; a file whose prefix names another class than its
folder; unsigned cells with unconfirmed labels; mirrors with underscores for blanks and without
folders for unsigned cells.
"""

from __future__ import annotations

from pathlib import Path

from source_layouts import Facts, picture

CELLS = {
    "Patient_00/Signed slides/Promyelocyte/PMY_1001.jpg": "APL/Promyelocyte",
    "Patient_00/Signed slides/Blast, no lineage spec/BL_1002.jpg": "APL/Blast, no lineage spec",
    "Patient_00/Signed slides/Segmented neutrophils/SNE_1003.jpg": "APL/Segmented neutrophils",
    "Patient_00/Signed slides/Segmented neutrophils/BNE_1004.jpg": "APL/Segmented neutrophils",
    "Patient_00/Signed slides/Arifact/ART_1005.jpg": "APL/Arifact",
    "Patient_00/Unsigned slides/Lymphocyte, variant/VLY_1006.jpg": "APL/Lymphocyte, variant",
    "Patient_01/Signed slides/Promyelocyte/PMY_2001.jpg": "AML/Promyelocyte",
    "Patient_01/Signed slides/Blast, no lineage spec/BL_2002.jpg": "AML/Blast, no lineage spec",
    "Patient_01/Signed slides/Monocyte/MO_2003.jpg": "AML/Monocyte",
    "Patient_01/Signed slides/Young Unidentified/UI_2004.jpg": "AML/Young Unidentified",
    "Patient_105/Signed_slides/Band_neutrophils/BNE_3001.jpg": "AML/Band neutrophils",
    "Patient_105/Unsigned_slides/MO_3002.jpg": "AML/Monocyte",
}
MASTER = """Patient_ID,Diagnosis,Cohort,Age at Diagnosis,Gender
Patient_00,APL,Discovery,34,F
Patient_01,AML,Discovery,61,M
Patient_105,AML,Validation,70,F
"""


def make(root: Path) -> Facts:
    for path in CELLS:
        picture(root / path, 360, 363)
    (root / "master.csv").write_text(MASTER, encoding="utf-8")
    raw: dict[str, int] = {}
    for code in CELLS.values():
        raw[code] = raw.get(code, 0) + 1
    return Facts(
        root=root,
        images=12,
        raw=raw,
        labels={
            "Myeloblast_APL": 1,
            "Myeloblast_AML": 1,
            "Neutrophil": 3,
            "Monocyte": 1,
            "Other": 1,
            "ignore": 5,
        },
        patients={"Patient_00": "APL", "Patient_01": "AML", "Patient_105": "AML"},
        parts={"discovery": 10, "validation": 2},
        spoil=(root / "master.csv").unlink,
        said=r"has no master\.csv with the patients' diagnoses; to get APL_AML",
        warns="1 file has the prefix of another class than the folder; the folder is used",
    )
