"""Zips, with the names of their members as every system writes them."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path

__all__ = ["open_zip"]

_UTF_8 = 0x800
"""The flag of a member whose name is in UTF-8."""


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip, with "/" in its members' names.

    Windows PowerShell 5 writes backslashes, and macOS writes UTF-8 without saying so. A member can also be opened by the
    name that it has in the file.

    Raises
    ------
    zipfile.BadZipFile
        If the file is not a whole zip.
    """
    archive = zipfile.ZipFile(path)
    if any(member.header_offset < 0 for member in archive.infolist()):
        archive.close()
        raise zipfile.BadZipFile("a piece of it is missing")
    for member in archive.infolist():
        name = _name(member)
        if name != member.filename:
            member.filename = name
            archive.NameToInfo.setdefault(name, member)
    return archive


def _name(member: zipfile.ZipInfo) -> str:
    name = member.filename
    if not name.isascii() and not member.flag_bits & _UTF_8:
        with suppress(UnicodeError):  # a name in an old code page, as zipfile reads it
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")
