"""What a YOLO folder holds that is not read: images that no key names, and label files that no image has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from pcm_leukemia.converters.yolo.description import FILES
from pcm_leukemia.converters.yolo.listing import Issues, ListedImage
from pcm_leukemia.converters.yolo.places import Places, walk
from pcm_leukemia.errors import Problem, counted, some
from pcm_leukemia.files import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from pcm_leukemia.schema import part_named

__all__ = ["Tree", "none_labelled", "refuse_unread", "shared", "strays"]

_TEXTS = frozenset({".txt"})


class Tree:
    """The files below the folder that data.yaml is about.

    Parameters
    ----------
    places
        The folder.
    images
        The images that are read. If none is below the folder, its files are somebody else's, and none is listed.

    Attributes
    ----------
    root
        The folder.
    files
        The POSIX paths of the files below it.
    others
        Its subfolders that are data sets of their own, whose files are not listed.
    """

    def __init__(self, places: Places, images: Iterable[Path]) -> None:
        self.root = places.root
        inside = {image.parent for image in images if image.is_relative_to(self.root)}
        ours = {above for folder in (*inside, places.folder) for above in (folder, *folder.parents)}
        files = list(walk(self.root)) if inside else []
        described = (PurePosixPath(file) for file in files if file.endswith(tuple(FILES)))
        self.others = sorted(
            str(path.parent)
            for path in described
            if path.name in FILES and self.root / path.parent not in ours
        )
        below = tuple(f"{folder}/" for folder in self.others)
        self.files = [file for file in files if not file.startswith(below)] if below else files

    def of(self, suffixes: frozenset[str]) -> list[str]:
        """The POSIX paths of the files with one of these suffixes, in lower case."""
        root = f"{self.root.as_posix()}/"
        return [root + file for file in self.files if f".{file.rpartition('.')[2].lower()}" in suffixes]


def refuse_unread(
    tree: Tree, places: Places, part_of: Mapping[Path, str], file: Path, issues: Issues
) -> None:
    """Report images below the folder that are not read.

    They are a problem if they belong to the data set: they have labels, or nothing is read from their folder and it is
    called "images" or after a part. Others are counted by import and check, as in every format, or else in a note.
    """
    texts = set(tree.of(_TEXTS))
    named = {image.as_posix() for image in part_of}
    folders = {image.rpartition("/")[0] for image in named}
    elsewhere = _counted_elsewhere(tree, named)
    missed: Counter[Path] = Counter()
    other: Counter[Path] = Counter()
    for image in map(Path, (image for image in tree.of(IMAGE_SUFFIXES) if image not in named)):
        ours = image.parent.as_posix() not in folders and (
            _is_of_a_part(image.parent.relative_to(tree.root)) or places.labels(image).as_posix() in texts
        )
        if ours:
            missed[image.parent] += 1
        elif not image.as_posix().startswith(elsewhere):
            other[image.parent] += 1
    for folder, count in sorted(missed.items()):
        what = f"has {counted(count, 'image')}, but {file.name} does not name it"
        fix = f"add it to {file.name} as train, val or test, or move it elsewhere"
        issues.problems.append(Problem(str(folder), what, fix))
    _report_other_kinds(tree, places, texts, issues)
    if other:
        lines = some((f"{folder}: {count:,}" for folder, count in sorted(other.items())), 5)
        text = f"{counted(other.total(), 'image file', 'image files')} not named by {file.name} and ignored:\n{lines}"
        issues.notes.append(text)
    if tree.others:
        text = f"{len(tree.others):,} other YOLO folders are below {tree.root}, and are not read:\n{some(tree.others, 5)}"
        issues.notes.append(text)


def _counted_elsewhere(tree: Tree, named: Iterable[str]) -> str:
    """The folder whose unlisted images import and check count; see `files.unlisted`."""
    root = f"{tree.root.as_posix()}/"
    inside = f"{root}images/"
    return inside if all(image.startswith(inside) for image in named) else root


def _report_other_kinds(tree: Tree, places: Places, texts: set[str], issues: Issues) -> None:
    """Report images of a kind that is not read: as a problem if they have labels."""
    kinds: dict[str, list[Path]] = {}
    for image in map(Path, tree.of(UNREAD_SUFFIXES)):
        kinds.setdefault(image.suffix.lower(), []).append(image)
    for kind, images in sorted(kinds.items()):
        what = f"{counted(len(images), f'{kind} file is', f'{kind} files are')} not read"
        if any(places.labels(image).as_posix() in texts for image in images):
            fix = "save them as PNG, JPEG or TIFF under the same names"
            issues.problems.append(
                Problem(
                    str(images[0].parent), f"{what}, but {'has' if len(images) == 1 else 'have'} labels", fix
                )
            )
        else:
            issues.notes.append(f"{tree.root}: {what}")


def _is_of_a_part(folder: Path) -> bool:
    """Whether a folder is named like those of a YOLO data set: "images", or after a part."""
    steps = folder.parts
    return "images" in steps or (bool(steps) and all(part_named(step) for step in steps))


def strays(tree: Tree, listed: Sequence[ListedImage]) -> list[str]:
    """A note on label files that belong to no image, in the folders of label files and in those called labels."""
    labels = {each.labels.as_posix() for each in listed}
    folders = {Path(folder) for folder in {label.rpartition("/")[0] for label in labels}}
    beside = (file.as_posix() for folder in folders for file in folder.glob("*.txt"))
    below = (text for text in tree.of(_TEXTS) if "/labels/" in text.removeprefix(tree.root.as_posix()))
    lost = [text for text in sorted({*beside, *below} - labels) if not _is_no_label_file(PurePosixPath(text))]
    text = f"{len(lost):,} label files belong to no image that data.yaml names, and are ignored:\n{some(lost, 5)}"
    return [text] if lost else []


def shared(listed: Iterable[ListedImage]) -> list[str]:
    """A note on images that share a label file, because their names differ in the extension alone."""
    images: dict[Path, list[str]] = {}
    for each in listed:
        images.setdefault(each.labels, []).append(each.image.id)
    both = [" and ".join(sorted(ids)) for ids in images.values() if len(ids) > 1]
    text = f"{len(both):,} label files belong to several images, which get the same cells:\n{some(both, 5)}"
    return [text] if both else []


def _is_no_label_file(text: PurePosixPath) -> bool:
    """Whether a text file is hidden, holds names, or is named after a part, like a list."""
    return text.name == "classes.txt" or text.name.startswith(".") or part_named(text.stem) is not None


def none_labelled(tree: Tree, listed: Sequence[ListedImage], file: Path) -> Problem:
    """The problem of a folder without a label file for any image, with the likely cause."""
    first = listed[0]
    what = f"none of {counted(len(listed), 'image')} has a label file; that of {first.image.id} would be {first.labels}"
    moved = [name for name in tree.files if PurePosixPath(name).name == first.labels.name]
    others = Counter(PurePosixPath(name).suffix.lower() for name in tree.files)
    archives = [name for name in tree.files if name.lower().endswith(".zip")]
    fix = "add the label files; that of an image without cells is empty"
    if moved:
        what += f", but there is {tree.root / moved[0]}"
        fix = f"move the label files to {first.labels.parent}"
        if "/images/" not in f"/{first.image.id}" and "labels/" in moved[0].lower():
            fix = 'call the folder of the images "images", and that of the labels "labels"'
    elif archives:
        fix = f"unzip {tree.root / archives[0]}, if they are in it"
    elif found := [suffix for suffix in (".xml", ".json", ".csv") if others[suffix]]:
        what += f"; there are {found[0]} files, which may be annotations in another format"
        fix = "give that format's folder or file, or add the label files"
    return Problem(str(file), what, fix)
