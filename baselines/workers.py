"""How many processes or threads load images, unless it is given."""

from __future__ import annotations

import joblib

__all__ = ["workers_of"]

MOST = 16
"""More would only wait: with 12, a GPU of today need not wait for images."""

MOST_ON_CPU = 4
"""A model that trains on the CPU needs the other cores itself."""


def workers_of(workers: int | None, device: str = "cuda", devices: int = 1) -> int:
    """Resolve None: one for each core that this process may use, at most 16 for each device.

    Limits of the machine count, such as those of SLURM and of containers. A training on a CPU gets at most 4. Any number is
    returned as it is.

    Examples
    --------
    >>> workers_of(0), workers_of(30), 1 <= workers_of(None) <= 16, 1 <= workers_of(None, "cpu") <= 4
    (0, 30, True, True)
    """
    if workers is not None:
        return workers
    cores: int = joblib.cpu_count()
    if device.startswith("cuda"):
        return max(1, min(MOST, cores // devices))
    return min(MOST_ON_CPU, cores)
