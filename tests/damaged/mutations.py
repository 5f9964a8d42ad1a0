"""Ways to damage the content of a file: its bytes, or the values in it after parsing.

Every function takes a `random.Random`, so that the same seed gives the same damage.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import PurePosixPath
from random import Random
from typing import Any, TypeAlias

import yaml

__all__ = ["LFS_POINTER", "damaged"]

Mutation: TypeAlias = Callable[[bytes, Random], bytes]

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a2146" * 8 + b"\nsize 12345\n"

ALIENS: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**9, 2**63, 10**400, -0.0, 1e308, 1e-300),
    *(float("nan"), float("inf"), float("-inf")),
    *(
        "",
        " ",
        "a",
        "0",
        "-1",
        "nan",
        "../../etc/passwd",
        "/nowhere",
        "C:\\a.png",
        "a\\b.png",
        ".",
        "..",
        "#",
        "P1/a.png",
    ),
    *(
        "\0",
        "a\0b",
        "\ud800",
        "é",
        "白血病",
        "e\u0301",
        "a\nb",
        "a\rb",
        "x" * 5000,
        "ignore",
        "complete",
        "train",
    ),
    *(
        [],
        {},
        [None],
        [[]],
        [1, 2, 3, 4],
        [0, 0, 0, 0],
        [[1, 2], [3, 4], [5, 6]],
        {"a": 1},
        {"": None},
        ["a", "a"],
    ),
    *({"counts": [0, 10**9], "size": [10**5, 10**4]}, {"counts": "abc", "size": [3, 3]}),
)
"""Values that a program may expect nowhere."""

WORDS = (
    *(
        "",
        " ",
        "0",
        "-1",
        "1",
        "1.5",
        "9" * 400,
        "1e400",
        "nan",
        "inf",
        "-inf",
        "0x10",
        "1_000",
        "٣",
        "½",
        "1e9",
    ),
    *(
        "1000000000",
        "4294967296",
        "True",
        "null",
        "None",
        "[]",
        "{}",
        '[["a"]]',
        "[1, 2]",
        '{"a": 1}',
        "[" * 2000,
    ),
    *(
        "a",
        "ignore",
        "\0",
        "\ufeff",
        "\ud800",
        "é",
        "a b",
        "a,b",
        '"',
        "\n",
        "\r",
        "..",
        "../a.png",
        "/a",
        "C:\\a",
        "\\",
    ),
    *(
        "mask",
        "polygon",
        "rotated",
        "ellipse",
        "point",
        "0 0 100000 10000 1000000000",
        "1 2 3",
        "train",
        "#",
        "*",
        "[",
    ),
)
"""Texts for a field of a table, an attribute or a word."""

BYTES = (
    *(
        b"\0",
        b"\xff",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\x80",
        b"\x1a",
        b"\r",
        b"\n",
        b"\t",
    ),
    *(
        b'"',
        b"'",
        b",",
        b";",
        b":",
        b"[",
        b"]",
        b"{",
        b"}",
        b"<",
        b">",
        b"&",
        b"&amp;",
        b"&#0;",
        b"&x;",
        b"- ",
        b"# ",
    ),
    *(
        b"9" * 400,
        b"-",
        b"1e999",
        b"NaN",
        b"Infinity",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b"!!int ",
        b"!x ",
    ),
    *(
        b"&a ",
        b"*a",
        b"<<: *a",
        b"2001-99-99",
        b"<a>" * 3_000,
        b"<![CDATA[",
        b"<!--",
        b"<?x",
        b"%",
        b"\\",
        b"\\ud800",
    ),
)
"""Bytes to insert."""

_BOMB = (
    b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "eeeeeeeeee">%s]><annotations>&e9;</annotations>"""
    % b"".join(b'<!ENTITY e%d "%s">' % (number, b"&e%d;" % (number - 1) * 10) for number in range(1, 10))
)
_ALIASES = b"a0: &a0 [x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (number, number, b", ".join([b"*a%d" % (number - 1)] * 10))
    for number in range(1, 9)
)


def damaged(name: str, data: bytes, rng: Random) -> bytes:
    """The content of a file, damaged once or a few times in a way that suits its kind."""
    suffix = PurePosixPath(name).suffix.lower()
    special = _BY_SUFFIX.get(suffix)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        # to parse and write nested aliases would fill the memory here
        if special is not None and _ALIASES not in data and rng.random() < 0.7:
            try:
                data = special(data, rng)
            except Exception:  # noqa: BLE001 - an earlier damage left nothing that can be parsed
                data = of_bytes(data, rng)
        else:
            data = of_bytes(data, rng)
    return data


# Bytes


def of_bytes(data: bytes, rng: Random) -> bytes:
    """Damage that needs no knowledge of the content."""
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((1, 1, 2, 8, 64, 1000)))
    match rng.randrange(12):
        case 0:
            return data[:start] + bytes([rng.randrange(256)]) + data[start + 1 :]
        case 1:
            return data[:start]
        case 2:
            return data[:start] + data[end:]
        case 3:
            return data[:end] + data[start:]
        case 4 | 5:
            return data[:start] + rng.choice(BYTES) + data[start:]
        case 6:
            return (
                data[:start] + bytes([data[start] ^ (1 << rng.randrange(8))]) + data[start + 1 :]
                if start < len(data)
                else b""
            )
        case 7:
            return _another_number(data, rng)
        case 8:
            return _other_lines(data, rng)
        case 9:
            return _recoded(data, rng)
        case 10:
            other = rng.randrange(len(data) + 1)
            return data[:start] + data[other : other + 16] + data[end:]
        case _:
            return rng.choice(
                (b"", b"\0" * 64, LFS_POINTER, b"{}", b"[]", b"null", b"\n", _BOMB, _ALIASES, data + data)
            )


def _another_number(data: bytes, rng: Random) -> bytes:
    numbers = list(re.finditer(rb"-?\d+\.?\d*", data[:100_000]))
    if not numbers:
        return data
    chosen = rng.choice(numbers)
    new = rng.choice(
        (b"-1", b"0", b"1000000000", b"9" * 400, b"nan", b"1e400", b"0.5", b"2147483648", b"", b"x", b"1.0")
    )
    return data[: chosen.start()] + new + data[chosen.end() :]


def _other_lines(data: bytes, rng: Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            del lines[first]
        case 1:
            lines.insert(second, lines[first])
        case 2:
            lines[first], lines[second] = lines[second], lines[first]
        case _:
            words = lines[first].split(b" ")
            words[rng.randrange(len(words))] = rng.choice(WORDS).encode("utf-8", "surrogatepass")
            lines[first] = b" ".join(words)
    return b"".join(lines)


def _recoded(data: bytes, rng: Random) -> bytes:
    match rng.randrange(5):
        case 0:
            return b"\xef\xbb\xbf" + data
        case 1:
            return data.replace(b"\n", b"\r")
        case 2:
            return data.decode("utf-8", "replace").encode("utf-16")
        case 3:
            return data.replace(b"a", b"\xe4")
        case _:
            return data.replace(
                rng.choice((b",", b"\n", b" ", b'"', b".", b"0")), rng.choice((b";", b"", b"\0", b"\t"))
            )


# Values


def of_values(content: Any, rng: Random) -> Any:
    """Damage a parsed document in place, and return it."""
    parent, key = _place(content, rng)
    if parent is None:
        return rng.choice(ALIENS)
    match rng.randrange(8):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(rng.randrange(len(parent) + 1), parent[key])
        case 2:
            other, place = _place(content, rng)
            if other is not None:
                parent[key], other[place] = other[place], parent[key]
        case 3 if isinstance(parent, dict):
            parent[rng.choice(("", "id", "name", f"{key} ", str(key).upper()))] = parent.pop(key)
        case 4:
            parent[key] = [parent[key]]
        case 5:
            parent[key] = str(parent[key])
        case _:
            parent[key] = rng.choice(ALIENS)
    return content


def _place(content: Any, rng: Random) -> tuple[Any, Any]:
    """A random place in a document: its container, and its key there; (None, None) for the document itself."""
    found: tuple[Any, Any] = (None, None)
    while isinstance(content, dict | list) and content:
        key = rng.choice(list(content)) if isinstance(content, dict) else rng.randrange(len(content))
        found, content = (content, key), content[key]
        if rng.random() < 0.25:
            break
    return found if rng.random() < 0.97 else (None, None)


def of_json(data: bytes, rng: Random) -> bytes:
    """Damage the values of a JSON document; a key may also occur twice."""
    text = json.dumps(of_values(json.loads(data), rng), indent=rng.choice((None, 1)))
    if rng.random() < 0.05:
        text = re.sub(r'("\w+": \w+)', r"\1, \1", text, count=1)
    return text.encode()


def of_yaml(data: bytes, rng: Random) -> bytes:
    """Damage the values of a YAML document."""
    return yaml.safe_dump(of_values(yaml.safe_load(data), rng), sort_keys=False).encode(
        "utf-8", "surrogatepass"
    )


def of_table(data: bytes, rng: Random) -> bytes:
    """Damage the fields, rows and columns of a CSV or of lines of words."""
    text = data.decode("utf-8")
    delimiter = next((sign for sign in ",;\t " if sign in text), ",")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    row = rng.choice(rows)
    column = rng.randrange(max(len(row), 1))
    match rng.randrange(9):
        case 0:
            del row[column]
        case 1:
            row.insert(column, rng.choice(WORDS))
        case 2:
            rows.insert(rng.randrange(len(rows) + 1), list(row))
        case 3:
            rows.remove(row)
        case 4:
            other = rng.randrange(max(len(row), 1))
            for each in rows:
                each[column], each[other] = each[other], each[column]
        case 5:
            row[column] = rng.choice(rng.choice(rows))
        case _:
            row[column] = rng.choice(WORDS)
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


def of_xml(data: bytes, rng: Random) -> bytes:
    """Damage the attributes, texts and elements of an XML document."""
    text = data.decode("utf-8")
    pattern = rng.choice((r'\w+="[^"]*"', r">[^<>]+<", r"<\w[^>]*>", r"<(\w+)[^>]*>[^<]*</\1>"))
    places = list(re.finditer(pattern, text))
    if not places:
        return of_bytes(data, rng)
    place, other = rng.choice(places), rng.choice(places)
    word = rng.choice(WORDS).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    match rng.randrange(5):
        case 0:
            new = ""
        case 1:
            new = place[0] * 2
        case 2:
            new = other[0]
        case _:
            new = re.sub(
                r'="[^"]*"|>[^<>]*<',
                lambda old: f'="{word}"' if old[0][0] == "=" else f">{word}<",
                place[0],
                count=1,
            )
    return (text[: place.start()] + new + text[place.end() :]).encode("utf-8", "surrogatepass")


# Containers


def of_zip(data: bytes, rng: Random) -> bytes:
    """Damage one member of a zip, or its name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    name = rng.choice([*members, *(name for name in members if name.endswith((".xml", ".json")))])
    content = members.pop(name)
    if rng.random() < 0.1:
        name = rng.choice(
            ("../a.xml", "/a.xml", "a\\b.xml", "", "é.xml", f"{name}/{name}", name.upper(), "._a.xml")
        )
    elif rng.random() < 0.95:
        content = damaged(name, content, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for member, inside in (*members.items(), (name, content)):
            archive.writestr(member, inside)
    return out.getvalue()


def of_parquet(data: bytes, rng: Random) -> bytes:
    """Damage the values, the columns or the metadata of a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data))
    metadata = dict(table.schema.metadata or {})
    column = rng.choice(table.column_names)
    place = table.schema.get_field_index(column)
    match rng.randrange(6):
        case 0:
            key = rng.choice(list(metadata))
            metadata[key] = damaged("metadata.json", metadata[key], rng)
        case 1:
            table = table.remove_column(place)
        case 2:
            table = table.rename_columns([name + "x" * (name == column) for name in table.column_names])
        case 3:
            word = rng.choice((None, "", "a", 0, -1, 10**9, 1.5, float("nan"), True, b"\xff", "{}", "[]"))
            table = table.set_column(place, column, pa.array([word] * len(table)))
        case 4:
            table = rng.choice((table.slice(0, 0), table.slice(1), pa.concat_tables([table, table])))
        case _:
            values = table.column(column).to_pylist()
            if isinstance(values[0], str) and values[0][:1] == "{":
                values[0] = damaged("value.json", values[0].encode(), rng).decode("utf-8", "replace")
            else:
                holder = {"column": values}
                of_values(holder, rng)
                values = holder["column"]
            table = table.set_column(place, column, pa.array(values))
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), out)
    return out.getvalue()


def of_image(data: bytes, rng: Random) -> bytes:
    """Damage the header of an image, or put something else in its place."""
    match rng.randrange(5):
        case 0:
            return LFS_POINTER
        case 1:
            start = rng.randrange(min(len(data), 64))
            return (
                data[:start]
                + rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x3b\x9a\xca\0"))
                + data[start + 4 :]
            )
        case 2:
            return data[: rng.randrange(len(data))]
        case _:
            start = rng.randrange(min(len(data), 200))
            return data[:start] + bytes([rng.randrange(256)]) + data[start + 1 :]


_BY_SUFFIX: dict[str, Mutation] = {
    ".json": of_json,
    ".yaml": of_yaml,
    ".xml": of_xml,
    ".zip": of_zip,
    ".parquet": of_parquet,
    **dict.fromkeys((".csv", ".txt", ".dat", ".xyc"), of_table),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"), of_image),
}
