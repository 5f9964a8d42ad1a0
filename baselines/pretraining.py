"""Public data sets that a model's weights have seen in pretraining, without labels, before any training here.

Scores on them may be better than on the images of a hospital that no model has seen.
"""

from __future__ import annotations

from collections.abc import Collection

from pcm_leukemia.baselines import config
from pcm_leukemia.baselines.classifiers.dinobloom_weights import size_of
from pcm_leukemia.baselines.run import Run, origin
from pcm_leukemia.dataset import Dataset

__all__ = ["note_on", "note_on_model", "pretrained_on"]


def pretrained_on(run: Run) -> tuple[str, ...]:
    """The public data sets that the weights a run started from were pretrained on, by their names in `sources`.

    A run that started from random weights has none. One that started from another run has those of that run.
    """
    settings = run.record["asked"]["settings"]
    weights = str(settings.get("weights", "none"))
    if weights == "none":
        return ()
    parent = origin(weights)
    if parent is not None:
        return pretrained_on(parent)
    # any classifier of timm can start from DinoBloom
    if _is_dinobloom(str(settings.get("model", "")), weights):
        return config.find("dinobloom").pretrained_on
    return run.baseline.pretrained_on


def note_on(run: Run, ds: Dataset) -> str:
    """A sentence if the weights that a run started from were pretrained on a data set; otherwise "".

    `concat` joins the names of data sets with "+", so each of them is looked for.
    """
    return _note(pretrained_on(run), ds, f"that {run.folder} started from")


def note_on_model(model: str, weights: str, ds: Dataset) -> str:
    """A sentence if a model's weights were pretrained on a data set; otherwise "". See `classifiers.backbones.backbone`.

    Examples
    --------
    >>> from pcm_leukemia import NINE
    >>> note_on_model("dinobloom_base", "hub", Dataset("lmu", NINE, ())).partition(":")[0]
    'the authors of the weights of dinobloom_base list lmu among the data of their pretraining, which used no labels'
    >>> note_on_model("dinobloom_base", "none", Dataset("lmu", NINE, ()))
    ''
    """
    if weights == "none" or not _is_dinobloom(model, weights):
        return ""
    return _note(config.find("dinobloom").pretrained_on, ds, f"of {model}")


def _is_dinobloom(model: str, weights: str) -> bool:
    return size_of(model) is not None or "dinobloom" in f"{model} {weights}".lower()


def _note(pretrained: Collection[str], ds: Dataset, which: str) -> str:
    seen = [name for name in ds.name.split("+") if name in pretrained]
    if not seen:
        return ""
    return (
        f"the authors of the weights {which} list {' and '.join(seen)} among the data of their pretraining, which used "
        "no labels: these images may not be new to the model"
    )
