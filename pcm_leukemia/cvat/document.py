"""One XML file of CVAT, read as a stream.

Sources of the rules: CVAT's documentation of its XML format, versions 1.0 and 1.1, "for images"
and "for video", and the exporter's code (cvat/apps/dataset_manager/formats/cvat.py). A rotation
turns a shape about its centre; its coordinates are those before the turn. In video, a shape
with `outside` set marks the end of a track and is not an object.
"""

from __future__ import annotations

import math
import posixpath
import re
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from xml.parsers import expat

from msgspec import structs

from pcm_leukemia.cvat.geometry import GEOMETRIES, Envelope
from pcm_leukemia.cvat.header import Header
from pcm_leukemia.cvat.inspection import Inspection
from pcm_leukemia.cvat.labels import Labels
from pcm_leukemia.cvat.tracks import Frames, Track, gaps
from pcm_leukemia.errors import Problem, option
from pcm_leukemia.files import Document, leads_outside
from pcm_leukemia.schema import Attributes, Cell, Image, ImageId, Tag
from pcm_leukemia.shapes import Box, Ellipse, RotatedBox, Shape

__all__ = ["MOST_PIXELS_A_SIDE", "NOT_PLAIN", "Parsed", "read_document"]

_CHUNK = 1 << 20
MOST_PIXELS_A_SIDE = 1_000_000
EXPORT_AGAIN = "export again from CVAT"

NOT_PLAIN = re.compile(r"\.\.|//|\./|^[/.]|^[A-Za-z]:|\0|\\")
"""Matches names that may not be plain relative paths; most are."""

Attrs = dict[str, str]


@dataclass(slots=True)
class Parsed:
    """The content of all documents of one export; `plain` as long as each was read by `cvat.plain`."""

    labels: Labels
    clip: bool = False
    plain: bool = True
    inspection: Inspection = field(default_factory=Inspection)
    images: dict[ImageId, Image] = field(default_factory=dict)
    bases: dict[ImageId, str] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)


def read_document(document: Document, parsed: Parsed) -> Header:
    """Read one XML file into `parsed`; its errors are recorded there as problems. Returns its header."""
    reader = _Reader(document, parsed)
    try:
        with document.open() as stream:
            while chunk := stream.read(_CHUNK):
                reader.parser.Parse(chunk, False)  # noqa: FBT003 - expat takes no keywords
        reader.parser.Parse(b"", True)  # noqa: FBT003
        reader.finish()
    except _Refused as refused:
        parsed.inspection.problems.append(refused.problem)
    except (MemoryError, KeyboardInterrupt):
        raise
    except OSError as error:
        what, fix = f"cannot be read ({error.strerror or error})", "check its permissions, or export it again"
        parsed.inspection.problems.append(Problem(document.where, what, fix))
    except Exception as error:  # noqa: BLE001 - expat, the codecs and a broken zip raise many types
        why = error or type(error).__name__
        what = f"is not well-formed XML, or cut short ({why if reader.parser.CurrentByteIndex > 0 else 'it is empty'})"
        parsed.inspection.problems.append(Problem(f"{document.where}:{reader.line}", what, EXPORT_AGAIN))
    for (kind, label), count in reader.counts.items():
        parsed.inspection.shapes[kind] += count
        parsed.inspection.labels[label] += count
    return reader.header


class _First(NamedTuple):
    """The first occurrence of an image."""

    line: int
    task: str


class _Refused(Exception):
    """Stops the parser: the whole file is refused."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class _Reader:
    """The callbacks of one parse and their state."""

    def __init__(self, document: Document, parsed: Parsed) -> None:
        self.where, self.base, self.prefix = document.where, document.base, document.prefix
        self.parsed = parsed
        self.inspection = parsed.inspection
        self.resolve = parsed.labels.resolve
        self.depth = 0
        self.in_meta = False
        self.header = Header()
        self.within = ""
        self.image: Image | None = None
        self.image_name = ""
        self.number = 0
        self.firsts: dict[ImageId, _First] = {}
        self.repeated: dict[ImageId, ImageId | None] = {}
        self.shape: Attrs = {}
        self.attributes: Attributes = ()
        self.attribute_name = ""
        self.texts: list[str] = []
        self.track: Attrs = {}
        self.tracks: list[Track] = []
        self.video: dict[tuple[str, str, int], list[tuple[int, str, Attrs, Attrs, Attributes]]] = {}
        self.shape_line = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        self.holds_cvat = False
        self.strange: set[str] = set()

        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype

    @property
    def line(self) -> int:
        return self.parser.CurrentLineNumber

    def _here(self) -> str:
        """The place for messages: the file, the line and, inside an image, its name."""
        place = f"{self.where}:{self.shape_line or self.line}"
        return f'{place} image "{self.image_name}"' if self.image_name else place

    def _problem(self, what: str, fix: str) -> None:
        self.inspection.problems.append(Problem(self._here(), what, fix))

    def _warning(self, what: str, fix: str) -> None:
        self.inspection.warnings.append(Problem(self._here(), what, fix))

    # What expat calls

    def _doctype(self, *_: object) -> None:
        what = "contains a DTD, which CVAT never writes; entities are not expanded"
        raise _Refused(Problem(f"{self.where}:{self.line}", what, EXPORT_AGAIN))

    def _start(self, tag: str, attrs: Attrs) -> None:
        self.depth = depth = self.depth + 1
        if depth == 3 and self.within:
            self.shape = attrs
            self.shape_line = self.parser.CurrentLineNumber
        elif depth == 4 and self.within:
            if tag == "attribute":
                self.attribute_name = attrs.get("name", "")
                self._listen()
        elif depth == 2:
            self._start_child_of_root(tag, attrs)
        elif depth == 1 and tag != "annotations":
            what = f"is not CVAT: its root is <{tag}>, not <annotations>"
            raise _Refused(Problem(f"{self.where}:{self.line}", what, "export as 'CVAT for images 1.1'"))
        elif self.in_meta:
            self.header.start(tag)
            self._listen()

    def _end(self, tag: str) -> None:
        depth = self.depth
        self.depth = depth - 1
        if depth == 3 and self.within:
            attributes = self.attributes
            if attributes:
                self.attributes = ()
            if self.track:
                self._shape_of_track(tag, self.shape, attributes)
            elif tag == "tag":
                self._tag(self.shape, attributes)
            else:
                self._shape(tag, self.shape, self.shape, attributes)
            self.shape_line = 0
        elif depth == 4 and self.within:
            if tag == "attribute":
                self.attributes = (*self.attributes, (self.attribute_name, self._text()))
        elif depth == 2:
            self._end_child_of_root(tag)
        elif self.in_meta:
            self.header.end(tag, self._text().strip())

    def _listen(self) -> None:
        """Collect text from here on; elsewhere text is blank and is skipped."""
        self.texts = []
        self.parser.CharacterDataHandler = self.texts.append

    def _text(self) -> str:
        self.parser.CharacterDataHandler = None
        return "".join(self.texts)

    # Elements directly below the root

    def _start_child_of_root(self, tag: str, attrs: Attrs) -> None:
        if tag == "image":
            self._start_image(attrs)
        elif tag == "track":
            self.holds_cvat = True
            self.inspection.tracks += 1
            self.within, self.track = tag, {"id": "0", **attrs}
            task = (self.track.get("subset", ""), self.track.get("task_id", ""))
            self.tracks.append(Track(self._here(), self.track["id"], attrs.get("label", ""), task))
        elif tag == "version":
            self._listen()
        elif tag == "meta":
            self.holds_cvat = self.in_meta = True
        elif tag not in self.strange:
            self.strange.add(tag)
            self._problem(
                f"is not CVAT: holds <{tag}>", "give an export in 'CVAT for images 1.1' or 'for video 1.1'"
            )

    def _end_child_of_root(self, tag: str) -> None:
        if tag == "image":
            self._end_image()
        elif tag == "track":
            self.within, self.track = "", {}
        elif tag == "meta":
            self._end_meta()
        elif tag == "version":
            self._version(self._text().strip())

    def _end_meta(self) -> None:
        self.in_meta = False
        self.inspection.header = self.inspection.header or self.header.kind
        for label in self.header.labels:
            self.parsed.labels.declare(label)

    def _version(self, version: str) -> None:
        known = self.inspection.version
        if version not in ("1.0", "1.1"):
            self._problem(f'version "{version[:20]}" is unknown', "export as 'CVAT for images 1.1'")
        if known is None:
            self.inspection.version = version
        elif version not in known.split(", "):
            self.inspection.version = f"{known}, {version}"

    # Images

    def _start_image(self, attrs: Attrs) -> None:
        self.holds_cvat, self.within = True, "image"
        self.inspection.images += 1
        self.number = 0
        self.image_name = attrs.get("name", "")
        subset, task = attrs.get("subset", ""), attrs.get("task_id", "")
        image_id = self._image_id(self.image_name, subset)
        if image_id in self.firsts and self.firsts[image_id].task != task:
            self.repeated[image_id] = self._image_id(
                f"task_{self.firsts[image_id].task}/{self.image_name}", subset
            )
            image_id = self._image_id(f"task_{task}/{self.image_name}", subset)
        size = _size(attrs)
        if image_id is None:
            what = f'its name "{self.image_name}" is empty or leads out of the export'
            self._problem(what, "rename the file and create the task again")
        elif size is None:
            self._problem(
                f'its size is "{attrs.get("width", "")}" x "{attrs.get("height", "")}" pixels', EXPORT_AGAIN
            )
        elif image_id in self.parsed.images:
            first = self.firsts.get(image_id)
            self._problem(f"appears twice{f', first in line {first.line}' if first else ''}", EXPORT_AGAIN)
        else:
            self.firsts[image_id] = _First(self.line, task)
            subset = sys.intern(subset or self.header.subset)
            self.image = Image(image_id, *size, name=self.image_name, subset=subset)
            self.parsed.images[image_id] = self.image
            if self.base:
                self.parsed.bases[image_id] = self.base

    def _end_image(self) -> None:
        self.inspection.empty_images += not self.number
        self.image, self.image_name, self.within = None, "", ""

    def _image_id(self, name: str, subset: str) -> ImageId | None:
        """The path of an image inside the export; None for a name that cannot be one."""
        path = (
            "/".join([part for part in (self.prefix, subset, name) if part])
            if subset or self.prefix
            else name
        )
        if NOT_PLAIN.search(path):
            if leads_outside(path) or not path.strip("./"):
                return None
            path = posixpath.normpath(path)
        return ImageId(path) if name else None

    # Shapes and tags, in images and in tracks

    def _tag(self, attrs: Attrs, attributes: Attributes) -> None:
        self.inspection.tags += 1
        if self.image is not None:
            tag = Tag(
                attrs.get("label", ""), attributes, attrs.get("source", ""), self._integer(attrs, "group_id")
            )
            self.image = replace(self.image, tags=(*self.image.tags, tag))
            self.parsed.images[self.image.id] = self.image

    def _shape_of_track(self, tag: str, attrs: Attrs, attributes: Attributes) -> None:
        try:
            frame = int(attrs["frame"])
        except (KeyError, ValueError):
            self._problem(f'<{tag}> of a track is on frame "{attrs.get("frame", "")}"', EXPORT_AGAIN)
            return
        track, outside = self.tracks[-1], attrs.get("outside") == "1"
        if tag in GEOMETRIES:  # a skeleton does not say where it ends
            track.add(frame, outside=outside, drawn=attrs.get("keyframe") != "0")
        shapes = self.video.setdefault((*track.task, frame), [])
        if not outside:
            shapes.append((self.shape_line, tag, attrs, self.track, attributes))

    def _shape(self, tag: str, attrs: Attrs, owner: Attrs, attributes: Attributes) -> None:
        """Count a shape and, if cells are drawn with it, make the cell.

        `owner` has the label: it is the shape itself, or its track.
        """
        number = self.number
        self.number = number + 1
        raw = owner.get("label", "")
        self.counts[tag, raw] += 1
        if tag not in GEOMETRIES:
            return
        label = self.resolve(raw, self._here)
        try:
            envelope, shape = GEOMETRIES[tag](attrs)
        except (KeyError, ValueError, OverflowError) as error:
            what = f'lacks "{error.args[0]}"' if isinstance(error, KeyError) else f"cannot be read ({error})"
            self._problem(f'{tag} of "{raw}" {what}', EXPORT_AGAIN)
            return
        if shape is not None:
            self.inspection.rotated += isinstance(shape, RotatedBox | Ellipse) and bool(shape.rotation)
        image = self.image
        if image is None:
            return
        x1, y1, x2, y2 = envelope
        if 0 <= x1 < x2 <= image.width and 0 <= y1 < y2 <= image.height:
            box: Box | None = Box(x1, y1, x2, y2)
        else:
            box = self._odd_box(f'{tag} of "{raw}"', envelope, image, shape)
        if box is None or label is None:
            return
        cell = Cell(
            image=image.id,
            id=number,
            label=label[0],
            box=box,
            raw_label=label[1],
            shape=shape,
            occluded=attrs.get("occluded") == "1",
            source=sys.intern(owner.get("source", "")),
            z_order=self._integer(attrs, "z_order") if attrs.get("z_order", "0") != "0" else 0,
            group=self._integer(owner, "group_id") if "group_id" in owner else 0,
            track=self._integer(owner, "id") if owner is not attrs else None,
            attributes=attributes,
        )
        self.parsed.cells.append(cell)

    def _integer(self, attrs: Attrs, name: str) -> int:
        text = attrs.get(name, "0")
        try:
            return int(text)
        except ValueError:
            self._problem(f'{name} is "{text}", not a whole number', EXPORT_AGAIN)
            return 0

    def _odd_box(self, what: str, envelope: Envelope, image: Image, shape: Shape | None) -> Box | None:
        """Report the problem of a box; returns the part of it that can be kept."""
        x1, y1, x2, y2 = envelope
        corners = f"({x1:.2f}, {y1:.2f}, {x2:.2f}, {y2:.2f})"
        if not all(map(math.isfinite, envelope)):
            self._problem(f"{what} has a coordinate that is not finite: {corners}", EXPORT_AGAIN)
        elif x2 < x1 or y2 < y1:
            self._problem(f"{what} ends before it starts: {corners}", "fix it in CVAT")
        elif x1 == x2 or y1 == y2:
            self.inspection.without_area += 1
            self._warning(
                f"{what} {corners} has no area and is left out", "draw it again or delete it in CVAT"
            )
        else:
            if (
                isinstance(shape, RotatedBox | Ellipse) and shape.rotation
            ):  # CVAT keeps only others inside the image
                what = f"{what}: turned by {shape.rotation:g} degrees, it"
            return self._outside(what, Box(x1, y1, x2, y2), image)
        return None

    def _outside(self, what: str, box: Box, image: Image) -> Box | None:
        self.inspection.outside_image += 1
        clipped = box.clip(image.width, image.height)
        if not self.parsed.clip:
            sides = [
                f"begins at {axis}={value:.2f}" for axis, value in (("x", box.x1), ("y", box.y1)) if value < 0
            ]
            if box.x2 > image.width:
                sides.append(f"ends at x={box.x2:.2f}, the image is {image.width} wide")
            if box.y2 > image.height:
                sides.append(f"ends at y={box.y2:.2f}, the image is {image.height} high")
            self._problem(
                f"{what} {' and '.join(sides)}", f"fix it in CVAT or pass {option('clip', value=True)}"
            )
        elif clipped is None:
            self._warning(f"{what} lies outside the image and is left out", "delete it in CVAT")
        else:
            self.inspection.clipped += 1
        return clipped

    # The frames of a video, once all tracks are read

    def finish(self) -> None:
        """Make images of the frames with tracks, and check the file as a whole."""
        if not self.holds_cvat and not self.strange:
            self._problem("contains neither images nor tracks", "export as 'CVAT for images 1.1'")
        tasks: dict[str, set[str]] = {}
        for subset, task, _ in self.video:
            tasks.setdefault(subset, set()).add(task)
        self._warn_of_gaps()
        for (subset, task, frame), shapes in sorted(self.video.items()):
            name = f"frame_{frame:06d}.PNG"
            if len(tasks[subset]) > 1:  # each of its videos has a frame 0
                name = f"task_{task}/{name}"
            width, height = self.header.frame_sizes.get(task, ("", ""))
            self._start_image({"name": name, "subset": subset, "width": width, "height": height})
            for line, tag, attrs, owner, attributes in shapes:
                self.shape_line = line
                self._shape(tag, attrs, owner, attributes)
            self._end_image()
            self.shape_line = 0
        self._rename_repeated()

    def _warn_of_gaps(self) -> None:
        annotated: dict[tuple[str, str], list[int]] = {}
        for subset, task, frame in sorted(self.video):
            annotated.setdefault((subset, task), []).append(frame)
        for track in self.tracks:
            if track.shapes:
                frames = self.header.frames.get(track.task[1], Frames())
                found = gaps(track, frames, annotated[track.task])
                self.inspection.warnings += [found] if found else []

    def _rename_repeated(self) -> None:
        """Put the task also before the first image of a name that another task of its subset repeats.

        Otherwise the first task would get the plain id, and the id would pass to another image when a task is
        added or deleted.
        """
        names = {old: new for old, new in self.repeated.items() if new and new not in self.parsed.images}
        if not names:
            return
        images = (replace(image, id=names.get(image.id, image.id)) for image in self.parsed.images.values())
        self.parsed.images = {image.id: image for image in images}
        self.parsed.bases = {names.get(image, image): base for image, base in self.parsed.bases.items()}
        self.parsed.cells = [
            structs.replace(cell, image=names[cell.image]) if cell.image in names else cell
            for cell in self.parsed.cells
        ]


def _size(attrs: Attrs) -> tuple[int, int] | None:
    """Width and height in pixels; None if an image cannot have this size."""
    try:
        width, height = int(attrs["width"]), int(attrs["height"])
    except (KeyError, ValueError):
        return None
    fits = 0 < width <= MOST_PIXELS_A_SIDE and 0 < height <= MOST_PIXELS_A_SIDE
    return (width, height) if fits else None
