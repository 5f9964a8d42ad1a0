"""Where work runs: threads here, an executor of the caller, or the workers of a Dask cluster."""

from __future__ import annotations

from pcm_leukemia.execution.ahead import ahead
from pcm_leukemia.execution.cluster import Cluster

__all__ = ["Cluster", "ahead"]
