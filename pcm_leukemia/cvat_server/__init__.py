"""A CVAT server, both ways: `pull` keeps a folder equal to the export of a project."""

from __future__ import annotations

from pcm_leukemia.cvat_server.pulling import Pulled, pull

__all__ = ["Pulled", "pull"]
