"""Writes a differential as a folder with two tables, JSON, and a page."""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.differential import tables
from pcm_leukemia.differential.html_page import page
from pcm_leukemia.differential.results import RESEARCH, Differential
from pcm_leukemia.differential.tallying import Reason
from pcm_leukemia.files import Report, check_target, new_folder, write_json

__all__ = ["check_out", "write"]

_FORM = "differential"


def check_out(out: str | Path) -> None:
    """Refuse a target that `write` would refuse, before the work.

    Raises
    ------
    ExportError
        If `out` holds something else, or has the name of a file.
    """
    check_target(out, _FORM)


def write(found: Differential, out: str | Path) -> Report:
    """Write a differential.

    ::

        differential.csv     a row for each patient and class
        patients.csv         a row for each patient: the blasts together, and what was left out
        differential.json    everything, with how it was counted
        differential.html    a page to read and print

    Parameters
    ----------
    found
        What `count` or `count_predictions` counted.
    out
        A new folder, or one that this function wrote, which is replaced.

    Raises
    ------
    ExportError
        If `out` holds something else, or cannot be written.

    Examples
    --------
    >>> import csv, tempfile
    >>> from pcm_leukemia import NINE, Box, Cell, Dataset, Image, Patient
    >>> from pcm_leukemia.differential.making import count
    >>> cells = (Cell("a.png", 0, "Monocyte", Box(1, 1, 9, 9)),)
    >>> ds = Dataset("demo", NINE, (Image("a.png", 90, 60, "P1"),), cells, (Patient("P1", "AML"),))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = write(count(ds), Path(folder) / "out")
    ...     table = (Path(folder) / "out" / "differential.csv").read_text()
    >>> rows = list(csv.DictReader(table.splitlines()))
    >>> [rows[5][name] for name in ("patient", "diagnosis", "label", "count", "total", "share", "low", "high")]
    ['P1', 'AML', 'Monocyte', '1', '1', '1.000000', '0.025000', '1.000000']
    """
    report = _report(found, Path(out))
    with new_folder(out, _FORM) as folder:
        tables.write_csv(folder / "differential.csv", tables.class_rows(found))
        tables.write_csv(folder / "patients.csv", tables.patient_rows(found))
        write_json(folder / "differential.json", tables.to_json(found))
        (folder / "differential.html").write_text(page(found), encoding="utf-8")
        report.leave_in(folder, {"name": found.name, **({"patient_ids": True} if found.ids else {})})
    return report


def _report(found: Differential, out: Path) -> Report:
    tallies, patients = found.tallies, found.patients
    cells = {label: sum(each.tally.counts[label] for each in patients) for label in found.labels}
    left = {reason: sum(each.tally.left_out[reason] for each in patients) for reason in Reason}
    return Report(
        _FORM,
        out,
        {"all": sum(each.tally.images for each in patients)},
        {"all": cells},
        {
            **{f"cells, {reason.words}": count for reason, count in left.items()},
            "images that may have unannotated cells": tallies.incomplete,
            "images that are counted already, under another name": tallies.doubles,
            "images without a patient": tallies.without_patient,
            "cells in images without a patient": tallies.cells_without_patient,
        },
        (*found.notes, RESEARCH),
    )
