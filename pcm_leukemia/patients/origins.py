"""Where the ids of patients are, if not in image paths: in a table, in tags or in an attribute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Attribute", "Table", "Tag"]


@dataclass(frozen=True, slots=True)
class Table:
    """Patients are in a CSV file; see `from_csv`."""

    path: str | Path


@dataclass(frozen=True, slots=True)
class Tag:
    """Patients are in the labels of CVAT's image tags, found by a pattern; see `from_tags`."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """Patients are in a CVAT attribute; see `from_attribute`."""

    name: str = "patient"
    diagnosis: str = "diagnosis"
