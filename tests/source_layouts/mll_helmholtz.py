"""AML-Cytomorphology_MLL_Helmholtz: a folder a patient below the patient's genetic group; no cell has a label.

Traps: the table of patients has two names in circulation, and more columns than are needed.
"""

from __future__ import annotations

from pathlib import Path

from source_layouts import Facts, picture

PATIENTS = {
    "AAA": ("CBFB_MYH11", 2),
    "AEC": ("NPM1", 1),
    "BDF": ("PML_RARA", 3),
    "CGH": ("RUNX1_RUNX1T1", 1),
    "SXT": ("control", 2),
}
TABLE = "metadata.csv"
OTHER_TABLE = "metadata_with_data_dictionary.csv_metadata.csv"


def make(root: Path) -> Facts:
    rows = ["patient_id,sex_1f_2m,age,bag_label,instance_count,leucocytes_per_ul,pb_myeloblast"]
    for patient, (bag, count) in PATIENTS.items():
        for number in range(count):
            picture(root / "data" / bag / patient / f"image_{number}.tif", 144, 144)
        rows.append(f"{patient},1,54,{bag},{count},12300,60")
    (root / TABLE).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Facts(
        root=root,
        images=9,
        raw={},
        labels={},
        patients={"AAA": "AML", "AEC": "AML", "BDF": "APL", "CGH": "AML", "SXT": "Normal"},
        states={"none": 9},
        spoil=(root / "data" / "NPM1" / "AEC" / "image_0.tif").unlink,
        said=r"metadata\.csv:3: patient AEC has no image below NPM1/; get .* again, whole",
    )
