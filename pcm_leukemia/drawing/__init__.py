"""Pictures of frames and cells: boxes on a frame, a sheet of crops, and two annotations of one frame."""

from __future__ import annotations

from pcm_leukemia.drawing.boxes import Drawn, draw, of_cells
from pcm_leukemia.drawing.comparing import compare
from pcm_leukemia.drawing.frames import show
from pcm_leukemia.drawing.sheets import gallery
from pcm_leukemia.drawing.tags import shortened

__all__ = ["Drawn", "compare", "draw", "gallery", "of_cells", "shortened", "show"]
