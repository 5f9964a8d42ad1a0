"""The differential of each patient: counts and shares of the white cells, with exact intervals, as tables and a page.

Nucleated white cells count, that is every one of the nine classes but Other. `count` counts annotated cells,
`count_predictions` those that `pcm-leukemia predict` wrote, and `write` writes either. Results are probabilities and
never a diagnosis: this is research software.
"""

from __future__ import annotations

from pcm_leukemia.differential.binomial import clopper_pearson, probability_of_at_least
from pcm_leukemia.differential.confusion import Adjusted, Confusion, Correction
from pcm_leukemia.differential.html_page import page
from pcm_leukemia.differential.identifying import with_ids
from pcm_leukemia.differential.making import count, count_predictions
from pcm_leukemia.differential.predictions import (
    Limits,
    Predictions,
    Scored,
    is_predictions,
    read_predictions,
)
from pcm_leukemia.differential.results import (
    AT_LEAST,
    RESEARCH,
    Blasts,
    Corrected,
    Counted,
    Differential,
    PatientDifferential,
)
from pcm_leukemia.differential.tallying import Reason, Tallies, Tally
from pcm_leukemia.differential.writer import check_out, write

__all__ = [
    "AT_LEAST",
    "RESEARCH",
    "Adjusted",
    "Blasts",
    "Confusion",
    "Corrected",
    "Correction",
    "Counted",
    "Differential",
    "Limits",
    "PatientDifferential",
    "Predictions",
    "Reason",
    "Scored",
    "Tallies",
    "Tally",
    "check_out",
    "clopper_pearson",
    "count",
    "count_predictions",
    "is_predictions",
    "page",
    "probability_of_at_least",
    "read_predictions",
    "with_ids",
    "write",
]
