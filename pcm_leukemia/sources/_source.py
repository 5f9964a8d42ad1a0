"""The description of a data set: `Source`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pcm_leukemia.schema import Taxonomy
from pcm_leukemia.taxonomy import NINE

__all__ = ["Download", "Source"]


@dataclass(frozen=True, slots=True)
class Download:
    """A file at a stable address: its URL, its name on disk, and its hash in pooch's notation.

    `hash` is ``"sha256:..."`` or ``"md5:..."``; None if none was published. Zip files with `unpack` are unpacked.
    """

    url: str
    file: str
    hash: str | None = None
    unpack: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A public data set: its contents, authors, licence, published counts, and known defects.

    Attributes
    ----------
    name
        The module's name, and the NAME in ``NAME:ROOT``.
    title, what
        The published name, and a one-sentence description.
    cell_types, total_images, annotations
        The columns of the paper's Table 1, for the set as published. `total_images` is text, such as "18,365"
        or "about 40,000". If the paper's number differs, a defect says so.
    in_table_1
        Whether the set is in the paper's Table 1.
    patients
        The number of patients, and how an image's patient is known, if at all.
    licence, redistributable
        The licence, and whether it permits redistribution.
    citation, home
        What to cite, and the authoritative page.
    how_to_get
        What to download and where to put it, including the folder to give as ROOT.
    size, image_size, stain, magnification
        Size on disk, image size in pixels, and preparation of the smears; "not stated" if unpublished.
    defects
        Known errors and pitfalls.
    counts
        Raw label -> published number of cells; {} if unpublished.
    variants
        Name -> meaning of each reading of the labels; the first is the default.
    taxonomy
        The classes that the label map uses.
    downloads
        Files at stable addresses; `fetch` downloads them on request.
    """

    name: str
    title: str
    what: str
    cell_types: str
    total_images: str
    annotations: str
    in_table_1: bool = False
    patients: str
    licence: str
    redistributable: bool
    citation: str
    home: str
    how_to_get: str
    size: str = "not stated"
    image_size: str = "not stated"
    stain: str = "not stated"
    magnification: str = "not stated"
    defects: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    variants: Mapping[str, str] = field(default_factory=lambda: {"default": "as its authors label it"})
    taxonomy: Taxonomy = NINE
    downloads: tuple[Download, ...] = ()

    def variant(self, name: str | None) -> str:
        """Return the name of a known variant; None means the default.

        Raises
        ------
        ValueError
            If the variant is unknown.
        """
        if name is None:
            return next(iter(self.variants))
        if name not in self.variants:
            raise ValueError(
                f'{self.name} variant "{name}": unknown variant; use one of {", ".join(self.variants)}'
            )
        return name
