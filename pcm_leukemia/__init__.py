"""Blood-smear images annotated in CVAT, in one schema, split by patient, written for training."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
        execution,
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
    from pcm_leukemia.dataset import Dataset
    from pcm_leukemia.files import Report
    from pcm_leukemia.joining import concat, update
    from pcm_leukemia.loading import load_dataset
    from pcm_leukemia.schema import IGNORE, UNTYPED, Cell, Image, Patient, Split, Taxonomy
    from pcm_leukemia.shapes import Box
    from pcm_leukemia.taxonomy import NINE

__version__ = "0.1.0"

__all__ = [
    "IGNORE",
    "NINE",
    "UNTYPED",
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
    "execution",
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


_HOME = {
    "IGNORE": "schema",
    "NINE": "taxonomy",
    "UNTYPED": "schema",
    "Box": "shapes",
    "Cell": "schema",
    "Dataset": "dataset",
    "Image": "schema",
    "Patient": "schema",
    "Report": "files",
    "Split": "schema",
    "Taxonomy": "schema",
    "concat": "joining",
    "load_dataset": "loading",
    "update": "joining",
}
"""The module of each public name that is no module itself."""


def __getattr__(name: str) -> Any:
    """Import a module or a public name of the package when it is first asked for: `pcm.splits`, `pcm.Dataset`, ..."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOME.get(name, name)}")
    return getattr(module, name) if name in _HOME else module


def __dir__() -> list[str]:
    return sorted(__all__)
