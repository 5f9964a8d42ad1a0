"""Public data sets that a model's weights have seen in pretraining, without labels, before any training here.

Scores on them may be better than on the images of a hospital that no model has seen.
"""

from __future__ import annotations

from pathlib import Path

from pcm_leukemia.baselines import config
from pcm_leukemia.baselines.classifiers.dinobloom_weights import size_of
from pcm_leukemia.baselines.run import Run, is_run
from pcm_leukemia.dataset import Dataset

__all__ = ["note_on", "pretrained_on"]


def pretrained_on(run: Run) -> tuple[str, ...]:
    """The public data sets that the weights a run started from were pretrained on, by their names in `sources`.

    A run that started from random weights has none. One that started from another run has those of that run.
    """
    settings = run.record["asked"]["settings"]
    weights = str(settings.get("weights", "none"))
    if weights == "none":
        return ()
    start = Path(weights).parent
    if Path(weights).suffix == ".safetensors" and is_run(start):
        return pretrained_on(Run.open(start))
    # any classifier of timm can start from DinoBloom
    is_dinobloom = size_of(str(settings.get("model", ""))) is not None or "dinobloom" in weights.lower()
    return config.find("dinobloom" if is_dinobloom else run.baseline.name).pretrained_on


def note_on(run: Run, ds: Dataset) -> str:
    """A sentence if the weights that a run started from were pretrained on a data set; otherwise "".

    `concat` joins the names of data sets with "+", so each of them is looked for.
    """
    seen = [name for name in ds.name.split("+") if name in pretrained_on(run)]
    if not seen:
        return ""
    return (
        f"the authors of the weights that {run.folder} started from list {' and '.join(seen)} among the data of their "
        "pretraining, which used no labels: these images may not be new to the model"
    )
