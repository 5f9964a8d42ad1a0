"""A CVAT server, both ways: `pull` keeps a folder equal to the export of a project, `push` and `create_task` send cells to be corrected."""

from __future__ import annotations

from pcm_leukemia.cvat_server.pulling import Pulled, pull
from pcm_leukemia.cvat_server.pushing import Pushed, push
from pcm_leukemia.cvat_server.shapes import as_shape
from pcm_leukemia.cvat_server.tasks import create_task

__all__ = ["Pulled", "Pushed", "as_shape", "create_task", "pull", "push"]
