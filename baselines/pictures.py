"""Pictures of predictions: the boxes that a model found, to be drawn onto the image."""

from __future__ import annotations

from collections.abc import Sequence

from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.drawing import Drawn

__all__ = ["of_found"]


def of_found(found: Detections, labels: Sequence[str], threshold: float = 0.25) -> list[Drawn]:
    """The detections with a score of `threshold` or more, the best last so that it is drawn on top.

    Examples
    --------
    >>> import numpy as np
    >>> box = np.array([[10, 20, 30, 40]], np.float32)
    >>> (drawn,) = of_found(Detections(box, np.array([0.875], np.float32), np.array([1])), ("WBC", "Other"))
    >>> drawn.sides, drawn.text, drawn.label
    ((10.0, 20.0, 30.0, 40.0), 'Other 0.88', 'Other')
    """
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    kept = [
        Drawn((x1, y1, x2, y2), f"{labels[label]} {score:.2f}", labels[label])
        for (x1, y1, x2, y2), score, label in rows
        if score >= threshold
    ]
    return kept[::-1]
