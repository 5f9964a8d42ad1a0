"""What a YOLO folder holds that is not read: images that no key names, and label files that no image has."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from pcm_leukemia.converters.yolo import description
from pcm_leukemia.converters.yolo.listing import Issues, ListedImage
from pcm_leukemia.converters.yolo.places import Places, is_image, walk
from pcm_leukemia.errors import DataWarning, Problem, some
from pcm_leukemia.schema import part_named

__all__ = ["Tree", "none_labelled", "refuse_unread", "warn_of_strays"]


class Tree:
    """The files below the folder that data.yaml is about; other data sets in it are left out.

    Parameters
    ----------
    places
        The folder.
    images
        The images that are read. If none is below the folder, its files are somebody else's, and none is listed.
    """

    def __init__(self, places: Places, images: Iterable[Path]) -> None:
        self.root = places.root
        inside = {image.parent for image in images if image.is_relative_to(self.root)}
        folders = {above for folder in inside for above in (folder, *folder.parents)}
        files = list(walk(self.root)) if inside else []
        others = {
            str(PurePosixPath(file).parent)
            for file in files
            if "/" in file and PurePosixPath(file).name in description.FILES
        }
        others = {each for each in others if self.root / each not in folders}
        self.files = [file for file in files if not _below(file, others)] if others else files


def _below(file: str, folders: set[str]) -> bool:
    return any(str(above) in folders for above in PurePosixPath(file).parents)


def refuse_unread(
    tree: Tree, places: Places, part_of: Mapping[Path, str], file: Path, issues: Issues
) -> None:
    """Report images below the folder that are not read.

    They are a problem if they belong to the data set: they have labels, or nothing is read from their folder and it is
    called "images" or after a part. Others are counted in a warning.
    """
    unread = [image for name in tree.files if is_image(name) and (image := tree.root / name) not in part_of]
    if not unread:
        return
    texts = {tree.root / name for name in tree.files if name.endswith(".txt")}
    folders = {image.parent for image in part_of}
    missed: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for image in unread:
        inside = image.parent.relative_to(tree.root).as_posix()
        ours = image.parent not in folders and (_is_of_a_part(inside) or places.labels(image) in texts)
        (missed if ours else other)[inside] += 1
    for inside, count in sorted(missed.items()):
        what = f"has {count:,} images, but {file.name} does not name it"
        fix = f"add it to {file.name} as train, val or test, or move it elsewhere"
        issues.problems.append(Problem(str(tree.root / inside), what, fix))
    if other:
        lines = some((f"{tree.root / inside}: {count:,}" for inside, count in sorted(other.items())), 5)
        text = f"{other.total():,} image files are not in the lists or folders of {file.name}, and are ignored:\n{lines}"
        warnings.warn(text, DataWarning, stacklevel=3)


def _is_of_a_part(folder: str) -> bool:
    """Whether a folder is one of images, or called after a part, as those of a YOLO data set are."""
    steps = PurePosixPath(folder).parts
    return "images" in steps or (bool(steps) and all(part_named(step) for step in steps))


def warn_of_strays(tree: Tree, listed: Sequence[ListedImage]) -> None:
    """Warn of label files that belong to no image: those in the folders of label files, or in folders called labels."""
    labels = {each.labels for each in listed}
    beside = {file for folder in {path.parent for path in labels} for file in folder.glob("*.txt")}
    below = {tree.root / name for name in tree.files if name.endswith(".txt") and "labels/" in name}
    strays = [
        str(path)
        for path in sorted((beside | below) - labels)
        if path.name != "classes.txt" and part_named(path.stem) is None
    ]
    if strays:
        text = (
            f"{len(strays):,} label files belong to no image that data.yaml names, and are ignored:\n"
            f"{some(strays, 5)}"
        )
        warnings.warn(text, DataWarning, stacklevel=3)


def none_labelled(tree: Tree, listed: Sequence[ListedImage], file: Path) -> Problem:
    """The problem of a folder of which no image has a label file, with the likely cause."""
    first = listed[0]
    what = (
        f"no image has a label file: for {first.image.id} and {len(listed) - 1:,} others, it was looked for at "
        f"{first.labels} and the like"
    )
    moved = [name for name in tree.files if PurePosixPath(name).name == first.labels.name]
    others = Counter(PurePosixPath(name).suffix.lower() for name in tree.files)
    archives = [name for name in tree.files if name.lower().endswith(".zip")]
    fix = "add the label files; that of an image without cells is empty"
    if moved:
        what += f", but is {tree.root / moved[0]}"
        fix = f"move the label files to {first.labels.parent}"
    elif archives:
        fix = f"unzip {tree.root / archives[0]}, if they are in it"
    elif found := [suffix for suffix in (".xml", ".json", ".csv") if others[suffix]]:
        what += f"; there are {found[0]} files, which may be annotations in another format"
        fix = "give that format's folder or file, or add the label files"
    return Problem(str(file), what, fix)
