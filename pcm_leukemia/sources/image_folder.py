"""Your own crops: one folder for each class, below the root or below train, val and test.

::

    <root>/<class>/.../*.png
    <root>/{train,val,test}/<class>/.../*.png     parts in the usual spellings become the split

Use it for a lab's own cells, and for data sets in this layout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

from pcm_leukemia import patients as people
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import InvalidExport, Problem, UnknownLabel, counted, either, some
from pcm_leukemia.files import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from pcm_leukemia.schema import IGNORE, Taxonomy, part_named
from pcm_leukemia.sources._files import find_root, listing, not_found, warn
from pcm_leukemia.sources._labels import LabelMap, Rule, read_map
from pcm_leukemia.sources._parts import Crop, crops
from pcm_leukemia.sources._source import Source
from pcm_leukemia.taxonomy import NINE, check_classes, choices, warn_of_absent

__all__ = ["SOURCE", "read"]

SOURCE = Source(
    name="image_folder",
    title="a folder of images by class",
    what="Your own single-cell crops, in one folder for each class.",
    cell_types="any",
    total_images="any",
    annotations="Cropped Single Cell",
    patients="by a CSV",
    licence="its owner's",
    redistributable=False,
    citation="cite its owner",
    home="",
    how_to_get=(
        "put each crop into a folder named after its class; ROOT is the folder that holds these folders, or that "
        "holds train, val and test with these folders in them"
    ),
    defects=(),
)


def read(
    root: str | Path,
    *,
    variant: str | None = None,
    labels: Mapping[str, str] | None = None,
    taxonomy: Taxonomy | Literal["declared"] = NINE,
    patients: str | people.Table | None = None,
    workers: int | None = None,
) -> Dataset:
    """Read crops by their folders.

    Parameters
    ----------
    root
        The folder that holds the class folders, or folders train, val and test (or valid, training, ...) with
        the class folders in them.
    variant
        Only "default" exists.
    labels
        Folder -> class, "WBC" (a white cell of unknown type) or "ignore"; folders named after a class need no entry.
    taxonomy
        The classes; "declared" takes the folders' names, and new ones that `labels` names.
    patients
        A pattern over image paths, or a `patients.Table` with the columns path (of an image or a folder), patient and
        (optional) diagnosis.
    workers
        Threads that read image headers; by default the number that Python's thread pool chooses.

    Raises
    ------
    DataNotFound
        If no folder has images in it.
    InvalidExport
        If no image of a folder can be read, or a folder has only files of other kinds.
    UnknownLabel
        If a folder is not a class; all are listed.
    ValueError
        If the variant is unknown, or `labels` names an unknown class.

    Warns
    -----
    DataWarning
        If files are of a kind that is not read, are not images or not in a class folder, and are left out, or `labels` names a folder that is absent.

    Examples
    --------
    >>> import tempfile, PIL.Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("blasts/a.png", "Monocyte/b.png"):
    ...         Path(folder, name).parent.mkdir()
    ...         PIL.Image.new("RGB", (80, 80)).save(Path(folder, name))
    ...     ds = read(folder, labels={"blasts": "Lymphoblast"})
    >>> [(cell.image, cell.label, cell.raw_label) for cell in ds.cells]
    [('Monocyte/b.png', 'Monocyte', 'Monocyte'), ('blasts/a.png', 'Lymphoblast', 'blasts')]
    """
    SOURCE.variant(variant)
    folder = find_root(SOURCE, root, lambda _: True, "images")
    files = listing(folder)
    top = {file.partition("/")[0] for file in files if "/" in file}
    in_parts = bool(top) and all(part_named(name) for name in top)
    depth = 2 if in_parts else 1
    rows, outside = [], []
    for file in files:
        steps = file.split("/")
        if len(steps) > depth:
            part = part_named(steps[0]) if in_parts else None
            rows.append(Crop(file, steps[depth - 1], part=part))
        else:
            outside.append(file)
    if not rows:
        raise not_found(SOURCE, root, "has no folder with images in it")
    if outside:
        warn(
            f"{root}: {counted(len(outside), 'image is', 'images are')} in no class folder and left out, the first {outside[0]}"
        )
    if taxonomy == "declared":
        given = labels or {}
        names = [given.get(raw, raw) for raw in sorted({row.raw for row in rows})]
        new = dict.fromkeys(name for name in (*names, *given.values()) if name != IGNORE)
        taxonomy = Taxonomy("declared", tuple(new))
    classes = _map(rows, labels or {}, taxonomy, str(root))
    _refuse_unread(folder, {row.raw for row in rows}, depth, (*(labels or {}), *taxonomy.labels))
    ds = crops(SOURCE, folder, rows, classes, workers=workers)
    _refuse_lost(folder, rows, ds)
    return ds if patients is None else people.assign(ds, patients)


def _refuse_unread(folder: Path, read: Collection[str], depth: int, classes: Iterable[str]) -> None:
    """Refuse class folders none of whose files is read, and warn of images of other kinds in the others."""
    known = {name.casefold() for name in classes}
    kinds: dict[str, Counter[str]] = {}
    for file in listing(folder, None):
        steps, kind = file.split("/"), PurePosixPath(file).suffix.lower()
        if len(steps) > depth and kind not in IMAGE_SUFFIXES:
            raw = steps[depth - 1]
            if kind in UNREAD_SUFFIXES or (raw not in read and raw.casefold() in known):
                kinds.setdefault(raw, Counter())[kind or "other"] += 1
    described = {
        raw: ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
        for raw, counts in sorted(kinds.items())
    }
    fix = "save them as PNG, JPEG or TIFF, or move the folder elsewhere"
    if problems := [
        Problem(f'{folder} folder "{raw}"', f"has no image that is read, but {what} files", fix)
        for raw, what in described.items()
        if raw not in read
    ]:
        raise InvalidExport(problems)
    if described:
        warn(
            f"{folder}: files of these kinds are not read: {some(f'{raw}: {what}' for raw, what in described.items())}"
        )


def _refuse_lost(folder: Path, rows: Iterable[Crop], ds: Dataset) -> None:
    """Refuse class folders none of whose images can be read."""
    lost = Counter(row.raw for row in rows)
    for cell in ds.cells:
        lost.pop(cell.raw_label, None)
    if lost:
        fix = "repair these files, or move the folder elsewhere"
        raise InvalidExport(
            Problem(f'{folder} folder "{raw}"', f"none of its {counted(count, 'image')} can be read", fix)
            for raw, count in sorted(lost.items())
        )


def _map(rows: list[Crop], given: Mapping[str, str], taxonomy: Taxonomy, where: str) -> LabelMap:
    """Return the class of every folder: as given, as the taxonomy spells it, or from the map of the nine classes."""
    check_classes(given.values(), taxonomy.labels, taxonomy.name)
    warn_of_absent(given, sorted({row.raw for row in rows}))
    known = read_map(SOURCE).rules if taxonomy == NINE else {}
    rules, problems = {}, []
    for raw, count in sorted(Counter(row.raw for row in rows).items()):
        if raw in given:
            rules[raw] = Rule(raw, given[raw], "H", "given", "the caller")
        elif (label := taxonomy.match(raw)) is not None:
            rules[raw] = Rule(raw, label, "H", "spells the class", "the folder")
        elif raw in known:
            rules[raw] = known[raw]
        else:
            way = either(f'labels={{"{raw}": CLASS}}', f'--map "{raw}=CLASS"')
            fix = f"give {way}, with one of {choices(taxonomy.labels)}"
            problems.append(
                Problem(f'{where} folder "{raw}"', f"is not a class ({counted(count, 'image')})", fix)
            )
    if problems:
        raise UnknownLabel(problems)
    return LabelMap(SOURCE.name, 1, "default", taxonomy, rules)
