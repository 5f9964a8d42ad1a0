"""Ids of patients, names of images, tags and attributes that look like personal data, such as national numbers.

Each rule has its source, and prefers to miss something to a false alarm: ids of public data sets and of studies, counted frames,
times of cameras, UUIDs and hashes are none of these. Nothing that was found is quoted: an example has its first two characters,
because a report that repeats an id would spread it, and so findings do not list their images either.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple

from pcm_leukemia.checks.findings import Finding
from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import counted, either
from pcm_leukemia.patients import has_pseudonyms, is_pseudonym
from pcm_leukemia.schema import letters

__all__ = ["find_personal_data"]

Field = Literal["patient id", "image name", "tag", "attribute"]

_LEFT, _RIGHT = r"(?<![^\W_])", r"(?![^\W_])"
"""No letter and no digit beside it; an underscore may be."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class _Rule(NamedTuple):
    """What a text may contain, the reason to think so, and what finds it in a text of a field."""

    what: str
    find: Callable[[str, Field], Iterable[str]]
    genuine: Callable[[Collection[str]], bool] = bool
    """Whether all that was found in a field of a data set is what the rule says."""


# National numbers, which have a check digit or forbidden ranges


def _chinese(text: str, _: Field) -> Iterator[str]:
    """Resident identity number, GB 11643-1999: region, date of birth, serial number, check character of ISO 7064 MOD 11-2."""
    for found in re.finditer(rf"{_LEFT}([1-8]\d)\d{{4}}((?:18|19|20)\d{{6}})\d{{3}}[\dXx]{_RIGHT}", text):
        number = found[0].upper()
        total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(number[:17]))
        if _is_date(found[2][:4], found[2][4:6], found[2][6:]) and number[17] == "10X98765432"[total % 11]:
            yield found[0]


def _german(text: str, _: Field) -> Iterator[str]:
    """Insurance number (Krankenversichertennummer, section 290 SGB V): a letter and nine digits, the last a check digit."""
    for found in re.finditer(rf"{_LEFT}[A-Z](?!000)\d{{9}}{_RIGHT}", text):
        yield found[0]


def _is_german(number: str) -> bool:
    digits = f"{ord(number[0]) - ord('A') + 1:02}{number[1:9]}"
    products = (int(digit) * (1 + place % 2) for place, digit in enumerate(digits))
    return sum(product // 10 + product % 10 for product in products) % 10 == int(number[9])


def _mostly_german(numbers: Collection[str]) -> bool:
    """One number in ten has the check digit by chance, so most of them must have it."""
    return sum(map(_is_german, numbers)) > len(numbers) / 2


def _american(text: str, _: Field) -> Iterator[str]:
    """Social security number, with its dashes; POMS RM 10201.035 (SSA) lists the numbers that are never assigned."""
    for found in re.finditer(rf"{_LEFT}(?!000|666|9)\d{{3}}-(?!00)\d\d-(?!0000)\d{{4}}(?!-){_RIGHT}", text):
        if text[: found.start()][-1:] != "-":
            yield found[0]


_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21),
    *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
), strict=True))  # fmt: skip


def _italian(text: str, _: Field) -> Iterator[str]:
    """Codice fiscale, decree of the Ministry of Finance of 23 December 1976: name, date of birth, sex, place, check letter."""
    pattern = rf"{_LEFT}[A-Z]{{6}}\d\d[A-EHLMPRST]\d\d[A-Z]\d{{3}}[A-Z]{_RIGHT}"
    for found in re.finditer(pattern, text, re.IGNORECASE):
        code = found[0].upper()
        total = sum(_ODD[each] for each in code[:15:2])
        total += sum(int(each) if each.isdecimal() else ord(each) - ord("A") for each in code[1:15:2])
        if ord(code[15]) - ord("A") == total % 26:
            yield found[0]


# Dates, names and numbers: 45 CFR 164.514(b)(2)(i) (HIPAA, safe harbor) lists them as (C), (A) and (H)


def _dates(text: str, field: Field) -> Iterator[str]:
    """Dates; from 2000 on only in ids of patients, since names of images and notes contain the day of the image."""
    for pattern in (
        r"(?P<y>(?:19|20)\d\d)(?P<m>\d\d)(?P<d>\d\d)",
        r"(?P<y>(?:19|20)\d\d)([-._])(?P<m>\d\d)\2(?P<d>\d\d)",
        r"(?P<d>\d\d?)([-._])(?P<m>\d\d?)\2(?P<y>(?:19|20)\d\d)",
    ):
        for found in re.finditer(rf"(?<![^\W_])(?<!\d[.-]){pattern}(?![^\W_])(?![.-]\d)", text):
            if _is_date(found["y"], found["m"], found["d"]) and (
                field == "patient id" or found["y"] < "2000"
            ):
                yield found[0]


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


_NAME = r"[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ'’]+(?:[- ][A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ'’]+)?"
_CELLS = re.compile(r"(cyte|blast|phil|emia|aemia|oma|oid|plasia)s?$", re.IGNORECASE)
_NO_NAMES = frozenset(
    [
        "normal",
        "benign",
        "malignant",
        "early",
        "late",
        "pre",
        "pro",
        "acute",
        "chronic",
        "typical",
        "atypical",
        "blast",
        "blasts",
        "mature",
        "immature",
        "other",
        "unknown",
        "left",
        "right",
        "slide",
        "smear",
        "blood",
        "marrow",
        "cell",
        "cells",
        "round",
        "oval",
        "large",
        "small",
        "light",
        "dark",
        "abnormal",
        "artefact",
        "artifact",
        "smudge",
    ]
)
"""Words beside a comma in names of classes and in notes, as in "Blast, typical"; those for cells and diseases by their ends."""


def _names(text: str, field: Field) -> Iterator[str]:
    """Names in the order of lists, "Name, First", in ids and folders; and anywhere those of DICOM, NAME^FIRST (PS3.5, 6.2)."""
    for part in re.split(r"[/\n]", text):
        if found := re.search(r"[^\W\d_]{2,}\^[^\W\d_]{2,}", part):
            yield found[0]
        elif field in ("patient id", "image name"):
            found = re.match(rf"{_NAME}, ?{_NAME}(?![^\W\d_])", part)
            words = re.findall(r"[^\W\d_]+", found[0]) if found else []
            if found and not any(word.casefold() in _NO_NAMES or _CELLS.search(word) for word in words):
                yield found[0]


def _numbers(text: str, field: Field) -> Iterator[str]:
    """Numbers of seven digits or more in ids of patients, and of eight or more elsewhere: those of patients and of cases."""
    least = 7 if field == "patient id" else 8
    for found in re.finditer(
        rf"{_LEFT}(?<!\d[.,])[A-Za-z]{{0,4}}(?!000)(\d{{{least},}})[A-Za-z]?{_RIGHT}", text
    ):
        if field == "patient id" or not _is_time(found[1]):
            yield found[0]


def _is_time(digits: str) -> bool:
    """Whether a number is the day or the time of an image: 20190526, 20190526162951, or milliseconds since 1970."""
    day = (
        len(digits) in (8, 14, 17)
        and _is_date(digits[:4], digits[4:6], digits[6:8])
        and digits.startswith("20")
    )
    return day or (len(digits) == 13 and digits.startswith("1"))


def _uncounted(numbers: Collection[str]) -> bool:
    """Whether numbers are no count: patients or frames that were numbered have numbers close to each other."""
    values = [int(re.sub(r"\D", "", number)[:18]) for number in numbers]
    return len(values) < 3 or max(values) - min(values) >= 10 * len(values)


def _mails(text: str, _: Field) -> Iterator[str]:
    for found in re.finditer(r"[\w.+-]+@[\w-]+\.[a-z]{2,}", text):
        yield found[0]


_RULES = (
    _Rule("a Chinese resident identity number (18 digits with a date and the right check digit)", _chinese),
    _Rule("an Italian codice fiscale (16 characters with the right check letter)", _italian),
    _Rule(
        "a German insurance number (a letter and nine digits with the right check digit)",
        _german,
        _mostly_german,
    ),
    _Rule("an American social security number (123-45-6789)", _american),
    _Rule("an e-mail address", _mails),
    _Rule("a name of a person (Name, First or NAME^FIRST)", _names),
    _Rule("a date, which may be one of birth", _dates),
    _Rule("a number of a patient or a case (many digits that are no count)", _numbers, _uncounted),
)

_PERSONAL = frozenset(
    [
        "patientname",
        "patientsname",
        "name",
        "fullname",
        "surname",
        "lastname",
        "familyname",
        "firstname",
        "givenname",
        "birthdate",
        "birthday",
        "dateofbirth",
        "dob",
        "patientbirthdate",
        "patientsbirthdate",
        "address",
        "phone",
        "telephone",
        "ssn",
        "mrn",
        "medicalrecordnumber",
        "socialsecuritynumber",
        "passport",
        "nachname",
        "vorname",
        "geburtsdatum",
        "geburtstag",
        "versichertennummer",
        "anschrift",
        "telefon",
    ]
)
"""Names of attributes that hold personal data, by their letters."""
_BY_NAME = "personal data, as its name says"


class _Found(NamedTuple):
    """What one rule found in one field."""

    number: int
    examples: set[str]
    names: set[str]


def find_personal_data(ds: Dataset) -> Iterator[Finding]:
    """Find what looks like personal data: one finding for each kind, with masked examples.

    Examples
    --------
    >>> from pcm_leukemia import NINE, Image, Patient
    >>> images = tuple(Image(f"A123456780/{number}.png", 64, 64, "A123456780") for number in range(2))
    >>> for found in find_personal_data(Dataset("demo", NINE, images, patients=(Patient("A123456780"),))):
    ...     print(f"{found.where}: {found.what}")
    1 patient id and 2 image names: contain what looks like a German insurance number (a letter and nine digits with the right \
check digit), such as "A1********"
    """
    texts = _texts(ds)
    claimed: dict[tuple[Field, str], list[str]] = {}
    for rule in _RULES:
        found = {field: each for field in texts if (each := _of_rule(rule, field, texts[field], claimed))}
        if found:
            yield _finding(ds, rule.what, found)
    named = [
        each for each in texts["attribute"].items() if letters(each[0][0]) in _PERSONAL and each[0][1].strip()
    ]
    if named:
        count = sum(number for _, number in named)
        names = {name for (name, _), _ in named}
        yield _finding(ds, _BY_NAME, {"attribute": _Found(count, {value for (_, value), _ in named}, names)})


def _texts(ds: Dataset) -> dict[Field, Counter[tuple[str, str]]]:
    """Field -> (name of the attribute or "", text), and how many patients, images, tags or attributes have it."""
    tags = [tag for image in ds.images for tag in image.tags]
    attributes = [each.attributes for each in tags] + [each.attributes for each in ds.cells]
    return {
        "patient id": Counter(("", str(patient.id)) for patient in ds.patients),
        "image name": Counter(
            ("", f"{image.id}\n{image.name}" if image.name not in image.id else str(image.id))
            for image in ds.images
        ),
        "tag": Counter(("", tag.label) for tag in tags),
        "attribute": Counter(pair for each in attributes for pair in each),
    }


def _of_rule(
    rule: _Rule, field: Field, texts: Counter[tuple[str, str]], claimed: dict[tuple[Field, str], list[str]]
) -> _Found | None:
    """What a rule finds in the texts of a field, and no rule before it has `claimed`; None if it is nothing."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in texts:
        before = claimed.get((field, each[1]), ())
        plain = _without_codes(each[1])
        new = [
            part for part in rule.find(plain, field) if not any(part in one or one in part for one in before)
        ]
        if new:
            found[each] = new
    examples = {part for parts in found.values() for part in parts}
    if not examples or not rule.genuine(examples):
        return None
    for (_, text), parts in found.items():
        claimed.setdefault((field, text), []).extend(parts)
    names = {name for name, _ in found if name}
    return _Found(sum(texts[each] for each in found), examples, names)


@lru_cache(maxsize=1 << 16)
def _without_codes(text: str) -> str:
    """A text without UUIDs and pseudonyms, which are made by chance."""
    text = _UUID.sub(" ", text)
    return re.sub(r"P-[0-9A-Z]{10}", lambda found: " " if is_pseudonym(found[0]) else found[0], text)


def _finding(ds: Dataset, what: str, found: dict[Field, _Found]) -> Finding:
    """The finding about what looks like something, with up to three examples."""
    where = [
        counted(each.number, field) + "".join(f' "{name}"' for name in sorted(each.names)[:3])
        for field, each in found.items()
    ]
    examples = sorted({part for each in found.values() for part in each.examples})[:3]
    shown = ", ".join(f'"{_masked(each)}"' for each in examples)
    contains = "contains" if sum(each.number for each in found.values()) == 1 else "contain"
    return Finding(
        "personal-data",
        (),
        (),
        (),
        None,
        f"{contains} what looks like {what}, such as {shown}",
        "if it is, " + " and ".join(_fixes(ds, found)) + " before you pass the data on",
        "warning",
        place=" and ".join([", ".join(where[:-1]), where[-1]] if where[1:] else where),
    )


def _fixes(ds: Dataset, found: Collection[Field]) -> Iterator[str]:
    if "patient id" in found and not has_pseudonyms(ds):
        yield "import again with pseudonyms: " + either("pseudonyms=FILE", "--pseudonyms FILE")
    elif "patient id" in found or "image name" in found:
        yield "rename the images"
    if "tag" in found or "attribute" in found:
        yield "remove the tags and attributes"


def _masked(part: str) -> str:
    """Two characters, and a star for each of the others: a report must not spread what it finds."""
    return part[:2] + "*" * (len(part) - 2)
