"""C-NMC: a fold nested once more, healthy subjects in small letters, the CSV whose Patient_ID is a file name."""

from __future__ import annotations

from pathlib import Path

from source_layouts import Facts, picture


def make(root: Path) -> Facts:
    top = root / "PKG - C-NMC 2019"
    train = top / "C-NMC_training_data"
    folds = (
        "fold_0/fold_0/all/UID_1_10_1_all.bmp",
        "fold_0/fold_0/hem/UID_H21_3_7_hem.bmp",
        "fold_1/all/UID_2_1_1_all.bmp",
        "fold_1/hem/UID_h3_1_1_hem.bmp",
        "fold_1/hem/UID_H3_1_2_hem.bmp",
        "fold_2/all/UID_5_1_1_all.bmp",
    )
    for shade, file in enumerate(folds):
        picture(train / file, 45, 45, shade=10 * shade)
    prelim = top / "C-NMC_test_prelim_phase_data" / "C-NMC_test_prelim_phase_data"
    rows = ["Patient_ID,new_names,labels"]
    for number, name in enumerate(("UID_57_29_1_all.bmp", "UID_57_2_3_all.bmp", "UID_H40_1_1_hem.bmp"), 1):
        picture(prelim / f"{number}.bmp", 45, 45, shade=100 + number)
        rows.append(f"{name},{number}.bmp,{int('all' in name)}")
    (top / "C-NMC_test_prelim_phase_data_labels.csv").write_text("\r\n".join(rows) + "\r\n", encoding="utf-8")
    for number in (1, 2):
        picture(top / "C-NMC_test_final_phase_data" / f"{number}.bmp", 45, 45, shade=150 + number)
    return Facts(
        root=root,
        images=11,
        raw={"all": 5, "hem": 4},
        labels={"Lymphoblast": 5, "Other": 4},
        patients={
            **dict.fromkeys(("1", "2", "5", "57"), "ALL"),
            **dict.fromkeys(("H21", "H3", "H40"), "Normal"),
        },
        parts={"fold_0": 2, "fold_1": 3, "fold_2": 1, "prelim": 3, "final": 2},
        states={"complete": 9, "none": 2},
        spoil=(prelim / "2.bmp").unlink,
        said=r"labels\.csv:3: names 2\.bmp, which is not there; get the images again, whole",
    )
