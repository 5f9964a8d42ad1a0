"""The figures that the paper prints, and how a data set compares with them.

Source: *PCM-Leukemia: A Large Scale Dataset for Detection and Classification of Acute Leukemia Subtypes*
(under review for MIDL 2026), Tables 2 to 7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Split

__all__ = ["CELLS", "COLUMNS", "IMAGES", "RESULTS", "Comparison", "Figure", "Result", "compare"]

COLUMNS = ("Train/Val", "Test", "Overall")

IMAGES = (16_555, 2_636, 19_191)
"""Table 2: images by column; the paper calls the last column "Total"."""

CELLS: Mapping[str, tuple[int, int, int]] = {
    "Lymphocyte": (2_383, 320, 2_703),
    "Neutrophil": (3_304, 361, 3_665),
    "Basophil": (1_576, 169, 1_745),
    "Eosinophil": (2_047, 239, 2_286),
    "Lymphoblast": (5_198, 1_222, 6_420),
    "Monocyte": (2_683, 626, 3_309),
    "Myeloblast_AML": (11_339, 2_727, 14_066),
    "Myeloblast_APL": (1_643, 952, 2_595),
    "Other": (2_197, 1_117, 3_314),
    "Total": (32_370, 7_733, 40_103),
}
"""Table 3: cells by class and column, with the printed totals."""


@dataclass(frozen=True, slots=True)
class Result:
    """A published score in per cent: Tables 4 to 7, and the class-wise scores in Figure 2 and the text."""

    table: str
    model: str
    test_set: str
    metric: str
    value: float


RESULTS = (
    Result("Table 4", "YOLO11m", "PCM-Leukemia", "mAP50-95", 80.8),
    Result("Table 4", "YOLO11m", "ALL-IDB1", "mAP50-95", 52.4),
    Result("Table 4", "DEIM-RT-DETRv2", "PCM-Leukemia", "mAP50-95", 81.8),
    Result("Table 4", "DEIM-RT-DETRv2", "ALL-IDB1", "mAP50-95", 60.3),
    Result("Table 5", "YOLO11m", "PCM-Leukemia", "mAP50-95", 74.6),
    Result("Table 5", "YOLO11m", "ALL-IDB1", "mAP50-95", 58.1),
    Result("Table 5", "DEIM-RT-DETRv2", "PCM-Leukemia", "mAP50-95", 75.7),
    Result("Table 5", "DEIM-RT-DETRv2", "ALL-IDB1", "mAP50-95", 68.6),
    Result("Table 6", "ResNet50", "PCM-Leukemia", "macro F1", 82.95),
    Result("Table 6", "ResNet50", "PCM-Leukemia", "accuracy", 87.94),
    Result("Table 6", "ResNet50", "ALL-IDB1", "macro F1", 56.08),
    Result("Table 6", "ResNet50", "ALL-IDB1", "accuracy", 66.62),
    Result("Table 6", "DinoBloom (Direct FT)", "PCM-Leukemia", "macro F1", 87.96),
    Result("Table 6", "DinoBloom (Direct FT)", "PCM-Leukemia", "accuracy", 91.29),
    Result("Table 6", "DinoBloom (LP+FT)", "PCM-Leukemia", "macro F1", 92.11),
    Result("Table 6", "DinoBloom (LP+FT)", "PCM-Leukemia", "accuracy", 92.59),
    Result("Table 6", "DinoBloom (LP+FT)", "ALL-IDB1", "macro F1", 74.27),
    Result("Table 6", "DinoBloom (LP+FT)", "ALL-IDB1", "accuracy", 88.02),
    Result("Table 7", "Zero-Shot (PCM-Only)", "LMU (Full)", "macro F1", 40.63),
    Result("Table 7", "Zero-Shot (PCM-Only)", "LMU (Full)", "accuracy", 39.67),
    Result("Table 7", "Partial FT (PCM+10% LMU)", "LMU (Hold-out 90%)", "macro F1", 67.94),
    Result("Table 7", "Partial FT (PCM+10% LMU)", "LMU (Hold-out 90%)", "accuracy", 81.94),
    # The text gives these for "the detector" without a name; with Table 5's mAP they fit only DEIM-RT-DETRv2:
    # (87.6 + 63.8) / 2 = 75.7 and (82.1 + 55.1) / 2 = 68.6.
    Result("Figure 2", "DEIM-RT-DETRv2", "PCM-Leukemia", "AP of WBC", 87.6),
    Result("Figure 2", "DEIM-RT-DETRv2", "PCM-Leukemia", "AP of Other", 63.8),
    Result("Figure 2", "DEIM-RT-DETRv2", "ALL-IDB1", "AP of WBC", 82.1),
    Result("Figure 2", "DEIM-RT-DETRv2", "ALL-IDB1", "AP of Other", 55.1),
)
"""Table 4: one stage, nine classes. Table 5: WBC against Other. Table 6: crops. Table 7: domain adaptation."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One cell of Table 2 or 3: the printed number (None if not printed) and our own (None if not known)."""

    row: str
    column: str
    paper: int | None
    ours: int | None

    @property
    def differs(self) -> bool:
        """Whether our number is known and differs from the paper's."""
        return self.ours is not None and self.ours != (self.paper or 0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tables 2 and 3, each number beside our own."""

    name: str
    figures: tuple[Figure, ...]

    @property
    def differences(self) -> tuple[Figure, ...]:
        """The figures that differ from the paper's."""
        return tuple(figure for figure in self.figures if figure.differs)

    def __str__(self) -> str:
        rows = list(dict.fromkeys(figure.row for figure in self.figures))
        at = {(figure.row, figure.column): figure for figure in self.figures}
        lines = [f"{'':16}" + "".join(f"{column:>26}" for column in COLUMNS)]
        lines.append(f"{'':16}" + f"{'here':>12}{'paper':>12}  " * len(COLUMNS))
        lines += [f"{row:16}" + "".join(_side_by_side(at[row, column]) for column in COLUMNS) for row in rows]
        known = sum(figure.ours is not None for figure in self.figures)
        lines.append(f"{len(self.differences)} of {known} figures differ (marked with !)")
        return "\n".join(line.rstrip() for line in lines)

    def to_json(self) -> dict[str, object]:
        """The figures as a list of rows."""
        figures = [
            {"row": f.row, "column": f.column, "paper": f.paper, "here": f.ours, "differs": f.differs}
            for f in self.figures
        ]
        return {"name": self.name, "figures": figures, "differences": len(self.differences)}


def _side_by_side(figure: Figure) -> str:
    here, paper = ("-" if number is None else f"{number:,}" for number in (figure.ours, figure.paper))
    return f"{here:>12}{paper:>12}{' !' if figure.differs else '  '}"


def compare(ds: Dataset, split: Split | None = None) -> Comparison:
    """Count images and cells as in Tables 2 and 3, and compare the counts with the printed numbers.

    The column Train/Val counts the parts train and val. Without a split only Overall is known. Classes
    that the paper does not have, and cells to ignore, get rows of their own.

    Parameters
    ----------
    ds
        The data set.
    split
        The split to count by; by default the data set's own.

    Examples
    --------
    >>> from pcm_leukemia.schema import Image, ImageId
    >>> from pcm_leukemia.taxonomy import NINE
    >>> print(compare(Dataset("demo", NINE, (Image(ImageId("a.png"), 8, 8),))).differences[0])
    Figure(row='Images', column='Overall', paper=19191, ours=1)
    """
    split = split or ds.split
    of_part = {"train": "Train/Val", "val": "Train/Val", "test": "Test"}
    column_of = {image: of_part.get(part, "") for image, part in (split.part_of if split else {}).items()}
    counted: Counter[tuple[str, str]] = Counter()
    for image in ds.images:
        counted.update([("Images", column_of.get(image.id, "")), ("Images", "Overall")])
    for cell in ds.cells:
        for row in (cell.label, "Total"):
            counted.update([(row, column_of.get(cell.image, "")), (row, "Overall")])
    printed = {"Images": IMAGES, **CELLS}
    beyond = sorted({row for row, _ in counted} - printed.keys())
    nothing = (None, None, None)
    figures = [
        Figure(row, column, paper, counted[row, column] if split or column == "Overall" else None)
        for row in [*printed, *beyond]
        for column, paper in zip(COLUMNS, printed.get(row, nothing), strict=True)
    ]
    return Comparison(ds.name, tuple(figures))
