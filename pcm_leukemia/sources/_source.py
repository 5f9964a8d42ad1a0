"""What is known of a data set without having it: `Source`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pcm_leukemia.schema import Taxonomy
from pcm_leukemia.taxonomy import NINE

__all__ = ["Download", "Source"]


@dataclass(frozen=True, slots=True)
class Download:
    """A file at a stable address: where it is, what it is called here, and its hash, as pooch writes it.

    `hash` is ``"sha256:..."`` or ``"md5:..."``; None where nobody has published one. `unpack` unpacks a zip.
    """

    url: str
    file: str
    hash: str | None = None
    unpack: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A public data set: what it is, whose, under which terms, and what is to be expected of it.

    Attributes
    ----------
    name
        That of its module, and the NAME of ``NAME:ROOT``.
    title, what
        Its own name, and a sentence that says what it is.
    cell_types, total_images, annotations
        The columns of the paper's Table 1, for the set as it was published; `total_images` is text, such
        as "18,365" or "about 40,000". Where the paper's number differs, a defect says so.
    in_table_1
        Whether the paper's Table 1 has it.
    patients
        How many, and how an image's patient is known; or that it is not.
    licence, redistributable
        The terms, and whether they let anybody pass the data on.
    citation, home
        What to cite, and the page that is authoritative.
    how_to_get
        What exactly to fetch, and where to put it; ends with the ROOT to give.
    size, image_size, stain, magnification
        On disk, in pixels, and how the smears were made; "not stated" where nobody says.
    defects
        What is known to be wrong with it, or to mislead.
    counts
        Raw label -> the published number of cells; {} where none is published.
    variants
        Name -> what it means, for each reading of the labels; the first is the default.
    taxonomy
        The classes that the map leads to.
    downloads
        Files at stable addresses, which `fetch` gets on request.
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
        """The variant of that name, or the default.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if name is None:
            return next(iter(self.variants))
        if name not in self.variants:
            raise ValueError(
                f'{self.name} variant "{name}": there is none; use one of {", ".join(self.variants)}'
            )
        return name
