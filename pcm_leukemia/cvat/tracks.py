"""Frames on which a track continues without a box.

CVAT writes a shape for every frame of a track until it ends with `outside`, also between the frames that someone drew
(`keyframe`). Other tools write the drawn frames alone, or no end; in CVAT, the object is on the frames between them, too.
They are named, never filled in. Frames that were deleted in CVAT look the same if the frames around them were drawn.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from pcm_leukemia.errors import Problem

__all__ = ["Frames", "Track", "gaps"]

_SHOWN = 5


class Frames(NamedTuple):
    """The numbers of a task's frames: the distance between two of them, and the last one, if it is known."""

    step: int = 1
    last: int | None = None


class _Shape(NamedTuple):
    frame: int
    outside: bool
    drawn: bool


@dataclass(slots=True)
class Track:
    """A track of a file: its place and number, its label and its shapes."""

    where: str
    number: str
    label: str
    task: tuple[str, str]
    shapes: list[_Shape] = field(default_factory=list)

    def add(self, frame: int, *, outside: bool, drawn: bool) -> None:
        """Note a shape; `drawn` is what CVAT calls a key frame."""
        self.shapes.append(_Shape(frame, outside, drawn))


def gaps(track: Track, frames: Frames, annotated: Sequence[int]) -> Problem | None:
    """A warning if a track continues without a box.

    Parameters
    ----------
    track
        The track.
    frames
        The frames of its task.
    annotated
        The frames of its task that are in the file, in order.
    """
    spans = list(_spans(track, frames, annotated))
    if not spans:
        return None
    count = sum((last - first) // frames.step + 1 for first, last in spans)
    shown = ", ".join(_named(first, last, frames.step) for first, last in spans[:_SHOWN])
    more = f" and {len(spans) - _SHOWN:,} more places" if len(spans) > _SHOWN else ""
    which = f"frame {shown}" if count == 1 else f"{count:,} frames: {shown}{more}"
    return Problem(
        f"{track.where} track {track.number}",
        f'goes on without a shape of "{track.label}" on {which}',
        "CVAT draws it there: import the file into CVAT and export it again, unless these frames were deleted",
    )


def _named(first: int, last: int, step: int) -> str:
    if last - first > step:
        return f"{first} to {last}"
    return f"{first}" if first == last else f"{first}, {last}"


def _spans(track: Track, frames: Frames, annotated: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and last frame of each gap."""
    shapes = sorted(track.shapes)
    step = frames.step
    for one, other in pairwise(shapes):
        if not one.outside and other.frame - one.frame > step:
            last = one.frame + (other.frame - one.frame - 1) // step * step
            yield from _gap(one.frame + step, last, annotated, drawn=one.drawn and other.drawn, step=step)
    end = max(annotated[-1] if frames.last is None else frames.last, annotated[-1])
    final = shapes[-1]
    # CVAT itself leaves the last frame out for an object that is on the frame before it alone
    alone = len(shapes) == 1 and end - final.frame <= step
    if not final.outside and end - final.frame >= step and not alone:
        last = final.frame + (end - final.frame) // step * step
        yield from _gap(final.frame + step, last, annotated, drawn=final.drawn, step=step)


def _gap(
    first: int, last: int, annotated: Sequence[int], *, drawn: bool, step: int
) -> Iterator[tuple[int, int]]:
    """A gap between frames that were drawn; between others, only where the file has frames, so that none was deleted."""
    if drawn:
        yield first, last
        return
    yield from _runs(annotated[bisect_left(annotated, first) : bisect_right(annotated, last)], step)


def _runs(frames: Iterable[int], step: int) -> Iterator[tuple[int, int]]:
    """The first and last of each run of frames that follow one another."""
    first = last = None
    for frame in frames:
        if first is None or last is None:
            first = last = frame
        elif frame - last <= step:
            last = frame
        else:
            yield first, last
            first = last = frame
    if first is not None and last is not None:
        yield first, last
