"""The paper's reference models, each with its settings in a .toml file beside its code, and how to train and score them.

A model is found by its .toml. Importing this package needs no library: each model and each module imports its own
libraries when it is first used. If one is missing, ``MissingExtra`` names it and the command that installs it.
"""

from __future__ import annotations

import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pcm_leukemia.errors import MissingExtra

if TYPE_CHECKING:
    from pcm_leukemia.baselines.comparison import PairedComparison, compare
    from pcm_leukemia.baselines.contract import Classifier, Detections, Detector, Job
    from pcm_leukemia.baselines.cross_validation import CrossValidation, cross_validate
    from pcm_leukemia.baselines.embedding import Probes, embed, probe
    from pcm_leukemia.baselines.evaluation import Evaluation, evaluate, evaluate_two_stage
    from pcm_leukemia.baselines.experiments.adaptation import adapt, adapt_over
    from pcm_leukemia.baselines.experiments.cross_domain import cross
    from pcm_leukemia.baselines.experiments.paper_figures import draw_figures
    from pcm_leukemia.baselines.experiments.reproduction import reproduce
    from pcm_leukemia.baselines.experiments.score_figures import draw_scores
    from pcm_leukemia.baselines.prediction import predict
    from pcm_leukemia.baselines.report import write_report
    from pcm_leukemia.baselines.run import Run, is_run
    from pcm_leukemia.baselines.training import train

__all__ = [
    "Classifier",
    "CrossValidation",
    "Detections",
    "Detector",
    "Evaluation",
    "Job",
    "PairedComparison",
    "Probes",
    "Run",
    "adapt",
    "adapt_over",
    "compare",
    "cross",
    "cross_validate",
    "draw_figures",
    "draw_scores",
    "embed",
    "evaluate",
    "evaluate_two_stage",
    "is_run",
    "module",
    "names",
    "predict",
    "probe",
    "reproduce",
    "settings_file",
    "train",
    "write_report",
]

_HOME = {
    "Classifier": "contract",
    "CrossValidation": "cross_validation",
    "Detections": "contract",
    "Detector": "contract",
    "Evaluation": "evaluation",
    "Job": "contract",
    "PairedComparison": "comparison",
    "Probes": "embedding",
    "Run": "run",
    "adapt": "experiments.adaptation",
    "adapt_over": "experiments.adaptation",
    "compare": "comparison",
    "cross": "experiments.cross_domain",
    "cross_validate": "cross_validation",
    "draw_figures": "experiments.paper_figures",
    "draw_scores": "experiments.score_figures",
    "embed": "embedding",
    "evaluate": "evaluation",
    "evaluate_two_stage": "evaluation",
    "is_run": "run",
    "predict": "prediction",
    "probe": "embedding",
    "reproduce": "experiments.reproduction",
    "train": "training",
    "write_report": "report",
}
"""The module of each public name."""

_MODELS = {file.stem: file for file in Path(__path__[0]).rglob("*.toml")}


def names() -> list[str]:
    """The names of all models: every module or folder with a .toml of its name.

    Examples
    --------
    >>> "resnet50" in names()
    True
    """
    return sorted(_MODELS)


def settings_file(name: str) -> Path:
    """The .toml of a model."""
    return _MODELS[name]


def module(name: str) -> ModuleType:
    """The code of a model, with its libraries: what its .toml calls ``code``, or else the module of its own name.

    Raises
    ------
    MissingExtra
        If a library of the model is not installed.
    """
    file = _MODELS[name]
    folder = file.relative_to(Path(__path__[0])).parent
    code = tomllib.loads(file.read_text(encoding="utf-8")).get("code", name)
    return _imported(".".join(folder.parts if folder.name == code else (*folder.parts, code)))


def __getattr__(name: str) -> Any:
    """A model, a module or a public name, imported when it is first asked for."""
    if name in _HOME:
        return getattr(_imported(_HOME[name]), name)
    if name in _MODELS:
        return module(name)
    if not name.startswith("_") and find_spec(f"{__name__}.{name}") is not None:
        return _imported(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *names(), *(each.name for each in iter_modules(__path__))})


def _imported(name: str) -> ModuleType:
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "pcm_leukemia"):
            raise
        raise MissingExtra(library, "baselines") from error
