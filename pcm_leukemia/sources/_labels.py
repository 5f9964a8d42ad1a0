"""The maps from a data set's raw labels to classes: ``maps/<source>.csv``.

The first line is ``# version: N``; every change of a row raises N. The columns are variant, raw, class,
confidence, reason and source. A row with the variant ``*`` applies to every variant without a row of its own for
that raw label. `class` is a class of the source, ``WBC`` (a white cell of unknown type) or ``ignore``; `confidence` is H,
M or L.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, Problem, UnknownLabel
from pcm_leukemia.schema import IGNORE, UNTYPED, Taxonomy
from pcm_leukemia.sources._source import Source

__all__ = ["LabelMap", "Rule", "read_map", "readings_of"]

COLUMNS = ("variant", "raw", "class", "confidence", "reason", "source")


@dataclass(frozen=True, slots=True)
class Rule:
    """One raw label: its class, "WBC" or "ignore", the confidence (H, M, L), the reason, and the source."""

    raw: str
    label: str
    confidence: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class LabelMap:
    """One reading of a data set's labels."""

    source: str
    version: int
    variant: str
    taxonomy: Taxonomy
    rules: Mapping[str, Rule]

    def label(self, raw: str) -> str:
        """Return the class of a raw label, "WBC" for white cells of unknown type, or "ignore".

        Raises
        ------
        UnknownLabel
            If the label is not in the map.
        """
        self.require({raw: 0})
        return self.rules[raw].label

    def require(self, raw: Iterable[str] | Mapping[str, int]) -> None:
        """Reject labels that are not in the map.

        Parameters
        ----------
        raw
            The label of each cell; or label -> number of cells, 0 if unknown.

        Raises
        ------
        UnknownLabel
            If labels are not in the map; lists each one with its number of cells.
        """
        known = ", ".join(self.rules)
        counts = Counter(raw)
        unknown = sorted(counts.keys() - self.rules.keys())
        if unknown:
            raise UnknownLabel(
                Problem(
                    f"{self.source}.csv",
                    f'has no row for "{code}" ({_times(counts[code])}variant {self.variant})',
                    f"its labels are {known}; check the root, or add a row",
                )
                for code in unknown
            )


def _times(count: int) -> str:
    return f"found {count:,} time{'s' * (count > 1)}, " if count else ""


def read_map(source: Source, variant: str | None = None) -> LabelMap:
    """Read the label map of a data set; by default in its first variant.

    Raises
    ------
    ValueError
        If the variant is unknown.
    CorruptFile
        If the map is invalid: a wrong version, column, class or confidence, or a duplicate row.

    Examples
    --------
    >>> from pcm_leukemia import sources
    >>> lmu = read_map(sources.get("lmu"), "lenient")
    >>> lmu.label("MYO"), lmu.label("PMB"), lmu.rules["PMB"].confidence
    ('Myeloblast_AML', 'Myeloblast_APL', 'M')
    """
    variant = source.variant(variant)
    where = f"maps/{source.name}.csv"
    text = (files("pcm_leukemia.sources") / "maps" / f"{source.name}.csv").read_text(encoding="utf-8")
    first, _, table = text.partition("\n")
    version = re.fullmatch(r"# version: (\d+)", first.strip())
    rows = list(csv.reader(table.splitlines(), strict=True))
    if version is None or not rows or tuple(rows[0]) != COLUMNS:
        raise CorruptFile(
            f"{where}: must begin with '# version: N' and the columns {','.join(COLUMNS)}; correct it"
        )
    chosen: dict[str, Rule] = {}
    common: dict[str, Rule] = {}
    for line, row in enumerate(rows[1:], 3):
        if len(row) != len(COLUMNS):
            raise CorruptFile(f"{where}:{line}: has {len(row)} fields, not {len(COLUMNS)}; correct the row")
        of, raw, label, confidence, reason, said_by = row
        if label not in source.taxonomy.written_labels:
            raise CorruptFile(
                f'{where}:{line}: class "{label}" is not in the taxonomy {source.taxonomy.name}; correct it'
            )
        if of not in ("*", *source.variants) or confidence not in ("H", "M", "L") or not (reason and said_by):
            raise CorruptFile(
                f"{where}:{line}: needs a known variant, a confidence (H, M, L), a reason and a source; correct it"
            )
        if of in ("*", variant):
            table_of = common if of == "*" else chosen
            if raw in table_of:
                raise CorruptFile(f'{where}:{line}: duplicate row for "{raw}"; keep one')
            table_of[raw] = Rule(raw, label, confidence, reason, said_by)
    return LabelMap(source.name, int(version[1]), variant, source.taxonomy, {**common, **chosen})


def readings_of(source: Source, ds: Dataset) -> tuple[str, ...]:
    """Return the variants that explain the class of every cell in `ds` from its raw label.

    This recovers the variant of a data set that was read earlier, or stored as a canonical folder. Cells that
    were dropped, or set to "ignore" or "WBC", do not count.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Box, Cell, Dataset, Image, sources
    >>> image, box = Image("PMB_0001.tiff", 400, 400), Box(0, 0, 400, 400)
    >>> ds = Dataset("lmu", NINE, (image,), (Cell(image.id, 0, "Myeloblast_APL", box, "PMB"),))
    >>> readings_of(sources.get("lmu"), ds)
    ('strict+pmb', 'lenient', 'literal', 'nine')
    """
    pairs = {(cell.raw_label, cell.written_label) for cell in ds.cells}
    found = []
    for variant in source.variants:
        rules = read_map(source, variant).rules
        if all(raw in rules and label in (rules[raw].label, UNTYPED, IGNORE) for raw, label in pairs):
            found.append((sum(rules[raw].label == label for raw, label in pairs), variant))
    # an ignored cell fits every variant, so keep only the variants that explain the most cells
    most = max((fitting for fitting, _ in found), default=0)
    return tuple(variant for fitting, variant in found if fitting == most)
