"""Pictures of frames and cells: boxes on a frame, a sheet of crops, and two annotations of one frame."""

from __future__ import annotations

from pcm_leukemia.drawing.boxes import Drawn, draw, of_cells
from pcm_leukemia.drawing.choosing import choose, choose_frames, cut, padded
from pcm_leukemia.drawing.comparing import compare
from pcm_leukemia.drawing.frames import show
from pcm_leukemia.drawing.sheets import gallery
from pcm_leukemia.drawing.tags import fitting, shortened

__all__ = [
    "Drawn",
    "choose",
    "choose_frames",
    "compare",
    "cut",
    "draw",
    "fitting",
    "gallery",
    "of_cells",
    "padded",
    "shortened",
    "show",
]
