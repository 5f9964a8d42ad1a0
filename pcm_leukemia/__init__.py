"""Blood-smear images annotated in CVAT, in one schema, split by patient, written for training."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.files import Report
from pcm_leukemia.joining import concat, update
from pcm_leukemia.loading import load_dataset
from pcm_leukemia.schema import IGNORE, Cell, Image, Patient, Split, Taxonomy
from pcm_leukemia.shapes import Box
from pcm_leukemia.taxonomy import NINE

if TYPE_CHECKING:
    from pcm_leukemia import (
        baselines,
        checks,
        colours,
        converters,
        criteria,
        cvat,
        cvat_server,
        differential,
        errors,
        images,
        paper,
        patients,
        report,
        review,
        sample,
        schema,
        shapes,
        sources,
        splits,
        store,
        torchdata,
    )

__version__ = "0.1.0"

__all__ = [
    "IGNORE",
    "NINE",
    "Box",
    "Cell",
    "Dataset",
    "Image",
    "Patient",
    "Report",
    "Split",
    "Taxonomy",
    "__version__",
    "baselines",
    "checks",
    "colours",
    "concat",
    "converters",
    "criteria",
    "cvat",
    "cvat_server",
    "differential",
    "errors",
    "images",
    "load_dataset",
    "paper",
    "patients",
    "report",
    "review",
    "sample",
    "schema",
    "shapes",
    "sources",
    "splits",
    "store",
    "torchdata",
    "update",
]


def __getattr__(name: str) -> ModuleType:
    """Import a module of the package when it is first asked for: `pcm.splits`, `pcm.cvat`, ..."""
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
