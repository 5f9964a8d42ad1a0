"""Image files that are passed on as they are, with metadata that may name patients who have pseudonyms everywhere else."""

from __future__ import annotations

import warnings

from pcm_leukemia.errors import DataWarning, option
from pcm_leukemia.images.metadata import find_identifiers

__all__ = ["STRIPPED", "MetadataSeen"]

STRIPPED = "the images are copied without metadata; their pixels are the same"
"""A note for the report of an export."""


class MetadataSeen:
    """Counts the files with metadata that may identify a person, as `find_identifiers` finds it."""

    def __init__(self) -> None:
        self._files = self._with_metadata = 0
        self._fields: dict[str, None] = {}

    def look(self, data: bytes) -> None:
        """Look at a file."""
        found = find_identifiers(data)
        self._files += 1
        self._with_metadata += bool(found)
        self._fields |= dict.fromkeys(each.field for each in found)

    def warn(self, name: str, how: str = "copy") -> None:
        """Warn if files had metadata; `how` the files of the data set `name` were placed decides the advice."""
        if not self._with_metadata:
            return
        fields = [*self._fields]
        more = ", ..." if fields[3:] else ""
        strip = option("strip_metadata", value=True)
        fix = strip if how == "copy" else f"{option('images', 'copy')} and {strip}"
        warnings.warn(
            f"{name}: {self._with_metadata:,} of {self._files:,} image files are written with metadata that may name patients "
            f"({', '.join(fields[:3])}{more}), which pseudonyms do not replace; before you pass them on, write again with {fix}",
            DataWarning,
            stacklevel=4,
        )
