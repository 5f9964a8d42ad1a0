"""The boxes of predictions that are drawn."""

from __future__ import annotations

import numpy as np

from pcm_leukemia import NINE
from pcm_leukemia.baselines import pictures
from pcm_leukemia.baselines.contract import Detections
from pcm_leukemia.drawing import Drawn


def test_what_was_found() -> None:
    boxes = np.array([[1, 2, 30, 40], [5, 6, 7, 8], [9, 9, 10, 10]], np.float32)
    found = Detections(boxes, np.array([0.95, 0.5, 0.1], np.float32), np.array([5, 0, 1]))
    rows = pictures.of_found(found, NINE.labels)
    assert rows == [
        Drawn((5, 6, 7, 8), "Lymphocyte 0.50", "Lymphocyte"),
        Drawn((1, 2, 30, 40), "Monocyte 0.95", "Monocyte"),
    ]
    assert len(pictures.of_found(found, NINE.labels, threshold=0.05)) == 3
