"""The tables of a run's epochs in its folder ``logs``, one for each phase of its training, the same for all models."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from pcm_leukemia.baselines.contract import DOMAINS
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.files import new_file

__all__ = ["Epochs", "Kind", "family_of", "kind_of", "logs_of", "read_epochs", "write_epochs"]

Kind: TypeAlias = Literal["loss", "score", "learning rate"]

_SCORES = ("AP", "AP50", "accuracy", "macro_f1", "f1", "precision", "recall")


class Epochs(NamedTuple):
    """What was logged over all phases.

    `lines` has the epochs and values of each column; a value is NaN between two phases. `phases` has the first and the last
    epoch of each phase.
    """

    lines: dict[str, tuple[list[float], list[float]]]
    phases: dict[str, tuple[float, float]]


def write_epochs(file: Path, rows: Sequence[Mapping[str, float]]) -> None:
    r"""Write the CSV of all epochs so far, in one step and with its folder; the keys of the first row are the columns.

    Raises
    ------
    ExportError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "logs" / "metrics.csv"
    ...     write_epochs(file, [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    ...     file.read_text(encoding="utf-8")
    'epoch,loss\n1,0.5\n2,0.25\n'
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with new_file(file) as work, work.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def logs_of(folder: Path) -> dict[str, Path]:
    """The tables in a run's folder by phase, in the order of the phases: probing comes before fine-tuning."""
    found = sorted((folder / "logs").glob("*.csv"), key=lambda file: (file.stem != "probe", file.stem))
    return {file.stem: file for file in found}


def read_epochs(logs: Mapping[str, str | Path]) -> Epochs:
    r"""Read the tables of the phases of a training, in their order, as one; texts and empty fields are passed over.

    Raises
    ------
    DataNotFound, CorruptFile
        If a table is missing, or has no epochs.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_epochs(file := Path(folder) / "metrics.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    ...     read_epochs({"metrics": file})
    Epochs(lines={'loss': ([1.0, 2.0], [0.5, 0.25])}, phases={'metrics': (1.0, 2.0)})
    """
    lines: dict[str, tuple[list[float], list[float]]] = {}
    phases: dict[str, tuple[float, float]] = {}
    before = 0.0
    for phase, file in logs.items():
        for epochs, values in lines.values():  # no line from one phase to the next
            epochs.append(before + 0.5)
            values.append(math.nan)
        last = before
        for epoch, row in _rows(Path(file)):
            last = max(last, before + epoch)
            for name, value in row.items():
                epochs, values = lines.setdefault(name, ([], []))
                epochs.append(before + epoch)
                values.append(value)
        phases[phase] = (before + 1, last)
        before = last
    return Epochs(lines, phases)


def kind_of(name: str) -> Kind:
    """What a column holds.

    Examples
    --------
    >>> kind_of("train_loss"), kind_of("val_macro_f1"), kind_of("lr")
    ('loss', 'score', 'learning rate')
    """
    if name in ("lr", "rate") or name.startswith(("lr_", "rate_")):
        return "learning rate"
    family = family_of(name)
    is_score = family in _SCORES or family.rpartition("_")[2] in DOMAINS
    return "score" if is_score else "loss"


def family_of(name: str) -> str:
    """The quantity in a column, in training or validation.

    Examples
    --------
    >>> family_of("val_loss")
    'loss'
    """
    return name.removeprefix("train_").removeprefix("val_")


def _rows(file: Path) -> Iterator[tuple[float, dict[str, float]]]:
    """The epoch and the numbers in each line of a log."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise DataNotFound(f"{file}: cannot be read ({error}); give the CSV in a run's logs/") from error
    try:
        parsed = [(float(row["epoch"]), row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile(
            f"{file}: has no column epoch of numbers ({error!r}); give the CSV in a run's logs/"
        ) from error
    if not parsed or any(later < earlier for (earlier, _), (later, _) in pairwise(parsed)):
        raise CorruptFile(f"{file}: has no epochs in their order; give the CSV in a run's logs/")
    for epoch, row in parsed:
        numbers = ((name, _number(text)) for name, text in row.items() if name not in ("epoch", "step", None))
        yield epoch, {name: value for name, value in numbers if value is not None}


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
