"""Boxes drawn onto an image, with what they are, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from pcm_leukemia.images import Pixels

__all__ = ["COLOURS", "draw"]

# Paul Tol's "bright" and "vibrant" colours, which colour-blind people tell apart: personal.sron.nl/~pault
COLOURS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#ee7733",
    "#009988",
    "#bbbbbb",
)
"""The colour of each class id, from the first again after the last."""


def draw(
    pixels: Pixels, boxes: Sequence[Sequence[float]], texts: Sequence[str], labels: Sequence[int]
) -> Pixels:
    """The image with a frame and a text for each box; the one given is left as it is.

    Parameters
    ----------
    pixels
        RGB, ``(height, width, 3)``.
    boxes
        x1, y1, x2, y2 in pixels, ``(n, 4)``.
    texts
        What stands above each, n of them.
    labels
        The class id of each, for its colour.

    Examples
    --------
    >>> import numpy as np
    >>> picture = draw(np.zeros((60, 80, 3), np.uint8), [(20, 25, 60, 50)], ["Monocyte"], [5])
    >>> picture[50, 40].tolist(), picture[40, 40].tolist()
    ([170, 51, 119], [0, 0, 0])
    """
    picture = PIL.Image.fromarray(pixels)
    canvas = PIL.ImageDraw.Draw(picture)
    thick = max(2, round(min(picture.size) / 360))
    font = PIL.ImageFont.load_default(max(10, 6 * thick))
    for (x1, y1, x2, y2), text, label in zip(boxes, texts, labels, strict=True):
        colour = COLOURS[label % len(COLOURS)]
        canvas.rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=colour, width=thick)
        left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
        above = y1 - (bottom - top) - 2 * thick
        y = above if above >= 0 else min(y2, picture.height - (bottom - top) - 2 * thick)
        x = max(0, min(x1, picture.width - (right - left) - 2 * thick))
        canvas.rectangle((x, y, x + right - left + 2 * thick, y + bottom - top + 2 * thick), fill=colour)
        canvas.text((x + thick - left, y + thick - top), text, fill="black", font=font)
    return np.asarray(picture).copy()
