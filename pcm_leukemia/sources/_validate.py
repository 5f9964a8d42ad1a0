"""Compares a copy of a data set with the published one: counts by class, and files by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import PcmError, some
from pcm_leukemia.schema import Image
from pcm_leukemia.sources._files import listing

__all__ = ["Validation", "validate"]


TOTAL = "in all"
"""Key for the total number of cells, for data sets that publish only a total."""


@dataclass(frozen=True, slots=True)
class Validation:
    """How a copy of a data set compares with the published one.

    `counts` holds (raw label, published number or None, number found). `missing` and `extra` hold files by class,
    as far as the published file names are known; `corrupt` maps unreadable files to the reason.
    """

    name: str
    counts: tuple[tuple[str, int | None, int], ...]
    missing: Mapping[str, tuple[str, ...]]
    extra: Mapping[str, tuple[str, ...]]
    corrupt: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether the copy matches what was published."""
        differ = any(published not in (None, found) for _, published, found in self.counts)
        return not (differ or self.missing or self.extra or self.corrupt)

    def __str__(self) -> str:
        lines = [f"{self.name}: {'as published' if self.ok else 'differs from what was published'}"]
        for raw, published, found in self.counts:
            if published is None:
                lines.append(f"  {raw}: {found:,} (number not published)")
            else:
                off = "" if published == found else f", {found - published:+,}"
                lines.append(f"  {raw}: {found:,} of {published:,}{off}")
        for kind, files in (("missing", self.missing), ("extra", self.extra)):
            for raw, names in files.items():
                lines.append(f"{kind} in {raw}, {len(names):,}:")
                lines += [f"  {line}" for line in some(names).splitlines()]
        if self.corrupt:
            lines.append(f"cannot be read, {len(self.corrupt):,}:")
            lines += [f"  {line}" for line in some(self.corrupt.values()).splitlines()]
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """Return the result as plain dictionaries and lists."""
        return {
            "name": self.name,
            "ok": self.ok,
            "counts": [{"raw": raw, "published": published, "found": n} for raw, published, n in self.counts],
            "missing": {raw: list(names) for raw, names in self.missing.items()},
            "extra": {raw: list(names) for raw, names in self.extra.items()},
            "corrupt": dict(self.corrupt),
        }


def validate(module: ModuleType, ds: Dataset, *, pixels: bool, workers: int | None) -> Validation:
    """Compare `ds` with the published numbers in its module.

    A module may define `expected_counts(ds)`, if the published counts depend on the part that was read, and
    `expected_files(ds)`, which maps each class to all its file names below ``ds.root``.
    """
    published: Mapping[str, int] = (
        module.expected_counts(ds) if hasattr(module, "expected_counts") else module.SOURCE.counts
    )
    found = Counter(cell.raw_label for cell in ds.cells)
    found[TOTAL] = len(ds.cells)
    codes = [*published, *sorted(found.keys() - {TOTAL} - published.keys())]
    counts = tuple((raw, published.get(raw), found[raw]) for raw in codes)
    there = listing(ds.root) if isinstance(ds.root, Path) and ds.root.is_dir() else []
    files = {image.file for image in ds.images if image.file}
    beside = [file for file in there if file not in files]
    corrupt = dict(_unreadable(ds, beside, pixels=pixels, workers=workers))
    missing: dict[str, tuple[str, ...]] = {}
    extra: dict[str, tuple[str, ...]] = {}
    if hasattr(module, "expected_files"):
        expected: Mapping[str, Iterable[str]] = module.expected_files(ds)
        named = {file for names in expected.values() for file in names}
        on_disk = set(there)
        for raw, names in expected.items():
            if lost := tuple(sorted(set(names) - on_disk)):
                missing[raw] = lost
        extra = _by_folder(file for file in there if file not in named)
    else:
        extra = _by_folder(file for file in beside if file not in corrupt)
    return Validation(ds.name, counts, missing, extra, corrupt)


def _by_folder(files: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for file in files:
        found.setdefault(PurePosixPath(file).parent.as_posix(), []).append(file)
    return {folder: tuple(names) for folder, names in sorted(found.items())}


def _unreadable(
    ds: Dataset, beside: list[str], *, pixels: bool, workers: int | None
) -> Iterator[tuple[str, str]]:
    """Yield files with an unreadable header; with `pixels`, also those that cannot be decoded."""
    from pcm_leukemia import images
    from pcm_leukemia.images import Files

    if ds.root is None:
        return
    reader = Files(ds.root)

    def header(file: str) -> str | None:
        try:
            with reader.open(file) as stream:
                images.size(stream, file)
        except PcmError as error:
            return str(error)
        return None

    def decoded(image: Image) -> str | None:
        try:
            images.load(reader, image)
        except PcmError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(workers) as pool:
        yield from _said(beside, pool.map(header, beside))
        if pixels:
            with_file = [image for image in ds.images if image.file]
            yield from _said([str(image.file) for image in with_file], pool.map(decoded, with_file))


def _said(files: list[str], results: Iterable[str | None]) -> Iterator[tuple[str, str]]:
    return ((file, said) for file, said in zip(files, results, strict=True) if said is not None)
