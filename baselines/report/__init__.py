"""The page of a run: what `pcm_leukemia.report` shows of data, and before it the scores and mistakes of a model."""

from __future__ import annotations

from pcm_leukemia.baselines.report.writer import write_report, write_scored

__all__ = ["write_report", "write_scored"]
