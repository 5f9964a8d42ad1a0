"""dataset.json, the header of a canonical folder: what it says, and the checksums of the tables."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound
from pcm_leukemia.files import BAD_CONTENT, HEADER, read_text
from pcm_leukemia.remote import Place, RemotePath
from pcm_leukemia.schema import Taxonomy
from pcm_leukemia.store.tables import SCHEMA_VERSION, TABLES, version_of

__all__ = ["Header", "header_of", "read_header", "recognises", "require_unchanged"]


class Header(msgspec.Struct):
    """The part of dataset.json that is read."""

    schema_version: int
    name: str
    taxonomy: Taxonomy
    images_root: str | None = None
    sha256: dict[str, str] = {}
    pseudonym_keys: tuple[str, ...] = ()


def recognises(path: Path) -> bool:
    """Whether a path is a canonical folder."""
    return (path / HEADER).is_file()


def header_of(ds: Dataset, folder: Path, out: Path) -> dict[str, object]:
    """The content of dataset.json for tables written in `folder`, which becomes `out`."""
    return {
        "written_by": "pcm-leukemia",
        "schema_version": version_of(ds),
        "name": ds.name,
        "counts": {"patients": len(ds.patients), "images": len(ds.images), "cells": len(ds.cells)},
        "fingerprint": ds.fingerprint,
        "sha256": {table: _sha256(folder / table) for table in TABLES},
        "images_root": _relative(ds.root, out.absolute()) if ds.root else None,
        **({"pseudonym_keys": list(ds.pseudonym_keys)} if ds.pseudonym_keys else {}),
        "taxonomy": {
            "name": ds.taxonomy.name,
            "labels": list(ds.taxonomy.labels),
            "aliases": dict(ds.taxonomy.aliases),
            "tasks": [
                {"name": task.name, "labels": list(task.labels), "relabel": dict(task.relabel)}
                for task in ds.taxonomy.tasks
            ],
        },
        "entries": sorted((HEADER, *TABLES, "splits")),
    }


def _relative(root: Place, out: Path) -> str:
    """The path of the images relative to the folder, so that both can be moved together; a URL is kept."""
    if isinstance(root, RemotePath):
        return str(root)
    try:
        return Path(os.path.relpath(root.resolve(), out.resolve())).as_posix()
    except ValueError:  # on another drive
        return root.as_posix()


def read_header(path: Path) -> Header:
    """Read dataset.json; raises DataNotFound if it does not exist, CorruptFile if it cannot be read."""
    file = path / HEADER
    if not file.is_file():
        raise DataNotFound(
            f"{file}: does not exist; import an export first: pcm-leukemia import EXPORT {path}"
        )
    try:
        content = msgspec.json.decode(read_text(file))
        version = content.get("schema_version")
        if isinstance(version, int) and version not in range(1, SCHEMA_VERSION + 1):
            raise CorruptFile(
                f"{file}: schema_version {version}, this version of pcm-leukemia reads 1 to {SCHEMA_VERSION}; "
                "run: pip install --upgrade pcm-leukemia"
            )
        return msgspec.convert(content, Header)
    except BAD_CONTENT as error:
        if isinstance(error, CorruptFile):
            raise
        raise CorruptFile(
            f"{file}: is not the header of a canonical folder ({error}); import the export again"
        ) from error


def require_unchanged(path: Path, header: Header) -> None:
    """Compare the tables with their checksums; raises CorruptFile if one differs."""
    for table, expected in header.sha256.items():
        file = path / table
        if not file.is_file():
            raise CorruptFile(f"{file}: is missing; import the export again")
        if _sha256(file) != expected:
            raise CorruptFile(
                f"{file}: is not what pcm-leukemia wrote (its SHA-256 differs); if the change is intended, "
                f"accept it with: pcm-leukemia import {path} NEW_FOLDER"
            )


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise CorruptFile(
            f"{file}: cannot be read ({error.strerror}); check the disk and the permissions"
        ) from error
