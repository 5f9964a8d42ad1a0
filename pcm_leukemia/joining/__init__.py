"""Several data sets become one: `concat` puts them side by side, `update` brings corrected images back."""

from __future__ import annotations

from pcm_leukemia.joining.concatenation import concat
from pcm_leukemia.joining.updating import update

__all__ = ["concat", "update"]
