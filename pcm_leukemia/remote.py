"""Files and folders at URLs, such as ``s3://bucket/frames``, which fsspec reads and writes.

`place_of` is the one place that decides whether a typed path is a URL. fsspec is imported when a URL is first opened, and finds
the credentials where it always looks for them: in environment variables and the configuration of each protocol. They
are never written or shown; a password in a URL is used, and left out of everything that is stored or printed.

The library of a protocol retries by itself to some degree. What it gives up is tried again here, since a run of hours should
not end with one lost connection.
"""

from __future__ import annotations

import errno
import io
import os
import posixpath
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from pcm_leukemia.errors import (
    DataNotFound,
    ImpossibleValue,
    MissingExtra,
    PcmError,
    ServerError,
    ServerUnavailable,
)

__all__ = ["Place", "RemotePath", "is_url", "place_of", "was_url", "without_secrets"]

Answer = TypeVar("Answer")

_URL = re.compile(r"(?:[A-Za-z][\w+.-]*::)*[A-Za-z][\w+.-]+://")
"""How a URL begins; a scheme of one letter is a drive. Schemes may be chained: ``zip://images::s3://bucket/export.zip``."""
_SCHEMES = frozenset(
    f"{scheme}:"
    for scheme in (
        *(
            "abfs",
            "abfss",
            "adl",
            "az",
            "dropbox",
            "file",
            "ftp",
            "gcs",
            "gdrive",
            "gs",
            "hdfs",
            "hf",
            "http",
            "https",
        ),
        *(
            "memory",
            "oci",
            "oss",
            "s3",
            "s3a",
            "sftp",
            "simplecache",
            "smb",
            "ssh",
            "tar",
            "webdav",
            "webhdfs",
            "zip",
        ),
    )
)
"""Usual schemes: NAME:/data of a public data set that is misspelt must not be taken for a URL."""
_IN_TEXT = re.compile(r"[A-Za-z][\w+.-]+://[^\s\"'<>]*")
"""A URL in a text."""
_SECRETS = re.compile(r"(?<=://)[^/\s:@]*:[^/\s]*@|\?(?:(?!::)\S)*")
"""The user and password in a URL, and the query after its path."""
_ON_DISK = ("file://", "local://")
_WAITS = (0.3, 1.0, 3.0)
"""Seconds to wait before each new attempt."""
_LOST = {
    errno.EBUSY,
    errno.EIO,
    errno.EPIPE,
    errno.ETIMEDOUT,
    errno.EAGAIN,
    getattr(errno, "EREMOTEIO", errno.EIO),
}
"""Error numbers that may pass: s3fs raises EBUSY for 503 and EREMOTEIO for 500."""
_LOST_NAMES = {
    *("ConnectionError", "TimeoutError", "Timeout", "FSTimeoutError", "HTTPClientError", "TransportError"),
    *("ClientConnectionError", "ClientPayloadError", "IncompleteRead", "ServiceResponseError"),
    *("ServiceRequestError", "ServerDisconnectedError", "ProtocolError", "EOFError"),
}
"""The classes that libraries raise when a connection is lost, since not all of them are Python's."""
_OBJECTS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf", "oss", "memory"}
"""The protocols whose storages hold objects: each is written in one step, and its folders need not be made."""
_VERSIONS = ("ETag", "etag", "md5Hash", "generation", "blob_id", "CRC", "mtime", "LastModified", "created")
"""What a listing may have that changes with the content of a file."""
_HEADER = 1 << 16
"""Bytes that are fetched at a time of a file that is opened for its header; most headers fit in."""


@dataclass(frozen=True)
class RemotePath:
    """A file or folder at a URL, with those methods of `pathlib.Path` that make sense there.

    It can be pickled, and is opened anew in every process.

    Parameters
    ----------
    given
        The URL of a folder, as it was typed.
    inner
        The path below it.

    Examples
    --------
    >>> frames = RemotePath("s3://bucket/frames")
    >>> str(frames / "P1/a.png"), (frames / "P1").name, str(frames.parent)
    ('s3://bucket/frames/P1/a.png', 'P1', 's3://bucket')
    >>> RemotePath("ftp://ada:secret@ward/frames")
    RemotePath('ftp://ward/frames')
    """

    given: str = field(repr=False)
    inner: str = ""

    def __str__(self) -> str:
        links = without_secrets(self.given).split("::")
        first = next(number for number, link in enumerate(links) if "://" in link)
        if self.inner:
            slash = "" if links[first].endswith("/") else "/"
            links[first] = f"{links[first]}{slash}{self.inner}"
        return "::".join(links)

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __truediv__(self, below: str) -> RemotePath:
        return RemotePath(self.given, posixpath.join(self.inner, below).strip("/"))

    @property
    def name(self) -> str:
        """The last part of the path."""
        return str(self).partition("::")[0].rstrip("/").rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in; a bucket is in itself."""
        if self.inner:
            return RemotePath(self.given, posixpath.dirname(self.inner))
        head, chained, rest = self.given.partition("::")
        start, _, path = head.partition("://")
        return RemotePath(f"{start}://{path.rpartition('/')[0] or path}{chained}{rest}")

    @property
    def parents(self) -> list[RemotePath]:
        """The folders that it is in, the nearest first."""
        found: list[RemotePath] = []
        last = self
        while str(last.parent) != str(last):
            last = last.parent
            found.append(last)
        return found

    def absolute(self) -> RemotePath:
        """The same: a URL is absolute."""
        return self

    def resolve(self) -> RemotePath:
        """The same: no link is followed."""
        return self

    def as_posix(self) -> str:
        """The URL, without secrets."""
        return str(self)

    # Reading

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        return self._kind() != ""

    def is_file(self) -> bool:
        """Whether it is a file."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Whether it is a folder: there are files below it."""
        return self._kind() == "directory"

    def _kind(self) -> str:
        try:
            return str(self._info()["type"])
        except DataNotFound:
            return ""

    def size(self) -> int:
        """The size of a file in bytes."""
        return int(self._info()["size"])

    def _info(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._ask(lambda files, path: files.info(path))
        return found

    def read_bytes(self, start: int | None = None, end: int | None = None) -> bytes:
        """The content of a file, or its bytes from `start` up to `end`.

        Raises
        ------
        DataNotFound
            If there is no such file.
        ServerError
            If it cannot be reached, or must not be read.
        """
        if start is None and end is None:
            return self._ask(self._whole)
        return self._ask(lambda files, path: bytes(files.cat_file(path, start=start, end=end)))

    def _whole(self, files: Any, path: str) -> bytes:
        if self.given.startswith(("s3://", "s3a://")):
            try:
                return bytes(files.cat_file(path, start=0))  # otherwise s3fs asks for the size first
            except OSError as error:
                if error.errno != errno.EINVAL:  # an empty file has no range of bytes
                    raise
        return bytes(files.cat_file(path))

    def open(self) -> IO[bytes]:
        """Open a file for reading, of which only what is read is fetched; raises as `read_bytes`."""
        return io.BufferedReader(_Ranged(self, self.size()), _HEADER)

    def files(self) -> dict[str, tuple[int, str]]:
        """All files below a folder: path -> size in bytes and what changes with the content, "" if nothing is known.

        Raises
        ------
        ServerError
            If it cannot be reached, or must not be listed.
        DataNotFound
            If there is no such bucket.
        """

        def found(files: Any, path: str) -> dict[str, tuple[int, str]]:
            files.invalidate_cache()
            infos = files.find(path, detail=True)
            start = f"{path.strip('/')}/" if path.strip("/") else ""
            return {
                name.strip("/").removeprefix(start): (int(info["size"] or 0), _version_of(info))
                for name, info in infos.items()
                if name.strip("/").startswith(start) and info["type"] == "file" and not name.endswith("/")
            }

        return dict(sorted(self._ask(found).items()))

    def read_text(self, encoding: str = "utf-8") -> str:
        """The text in a file; raises as `read_bytes`."""
        return self.read_bytes().decode(encoding)

    # Writing

    @property
    def writes_whole(self) -> bool:
        """Whether a file that is there has been written to its end, as in every storage of objects."""
        return self.given.partition("://")[0] in _OBJECTS

    def write_bytes(self, data: bytes) -> None:
        """Write a file, and the folders above it where a storage has some.

        Raises
        ------
        DataNotFound
            If there is no such bucket.
        ServerError
            If it cannot be reached, or must not be written to.
        """
        self._ask(lambda files, path: self._within_folders(files, path).pipe_file(path, data))

    def upload(self, file: Path) -> None:
        """Write a file that is a copy of one on disk; raises as `write_bytes`."""
        self._ask(lambda files, path: self._within_folders(files, path).put_file(str(file), path))

    def _within_folders(self, files: Any, path: str) -> Any:
        if not self.writes_whole:
            files.makedirs(posixpath.dirname(path), exist_ok=True)
        return files

    def rename(self, target: RemotePath) -> None:
        """Copy a file within its storage, and remove it; raises as `write_bytes`."""
        _, there = _file_system(target.given, os.getpid())
        self._ask(lambda files, path: files.cp_file(path, posixpath.join(there, target.inner)))
        self.unlink()

    def unlink(self) -> None:
        """Remove a file, if it is there; raises as `write_bytes`."""

        def remove(files: Any, path: str) -> None:
            with suppress(FileNotFoundError):
                files.rm_file(path)

        self._ask(remove)

    def _ask(self, action: Callable[[Any, str], Answer]) -> Answer:
        """What `action` returns for the file system and the path in it; a lost connection is tried again."""
        for wait in (*_WAITS, None):
            try:
                files, path = _file_system(self.given, os.getpid())
                return action(files, posixpath.join(path, self.inner) if self.inner else path)
            except PcmError:
                raise
            except Exception as error:  # noqa: BLE001 - each protocol has its own exceptions
                if wait is None or not _is_lost(error):
                    raise self._explained(error) from None  # what a library says may have secrets
                time.sleep(wait)
        raise AssertionError

    def _explained(self, error: Exception) -> Exception:
        said = without_secrets(" ".join(str(error).split())) or type(error).__name__
        if isinstance(error, ImportError):
            cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
            return MissingExtra((cause.name or said).partition(".")[0])
        names = {kind.__name__ for kind in type(error).__mro__}
        if any("Credential" in name or "Authentication" in name for name in names):
            where = "where the library of this protocol looks for them, for example in environment variables"
            return ServerUnavailable(f"{self}: no credentials were found ({said}); set them {where}")
        if isinstance(error, FileNotFoundError):
            what = "no such bucket" if "bucket" in said and "exist" in said else "no such file or folder"
            return DataNotFound(f"{self}: {what}; correct the URL")
        if isinstance(error, PermissionError):
            fix = "use credentials that may, or ask the owner for the permission"
            return ServerUnavailable(f"{self}: must not be accessed with these credentials ({said}); {fix}")
        if _is_lost(error):
            times = f"in {len(_WAITS) + 1} attempts"
            fix = "check the network and the address, then run the same command again"
            return ServerUnavailable(f"{self}: cannot be reached {times} ({said}); {fix}")
        if isinstance(error, ValueError) and said.startswith("Protocol not known"):
            protocol = self.given.partition("://")[0].rpartition("::")[2]
            return ImpossibleValue(
                f"{self}: fsspec knows no protocol {protocol}; use s3://, gs://, hf:// or another that it knows"
            )
        return ServerError(f"{self}: {said}; correct the URL, or copy the files to this machine")


Place = Path | RemotePath
"""A folder or zip on disk, or one at a URL."""


class _Ranged(io.RawIOBase):
    """A remote file of which only what is read is fetched."""

    def __init__(self, path: RemotePath, size: int) -> None:
        self._path, self._size, self._at = path, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._fetch(self._at + len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._fetch(self._size)

    def _fetch(self, end: int) -> bytes:
        start, end = self._at, min(end, self._size)
        data = self._path.read_bytes(start, end) if start < end else b""
        self._at += len(data)
        return data


def is_url(typed: object) -> bool:
    """Whether a typed path is a URL, of any scheme.

    Examples
    --------
    >>> [is_url(path) for path in ("s3://bucket/a", "zip://a::s3://bucket/b.zip", "C://a", "a:b", "a/s3://b")]
    [True, True, False, False, False]
    """
    return isinstance(typed, RemotePath) or (isinstance(typed, str) and _URL.match(typed) is not None)


def was_url(path: str | Path) -> bool:
    """Whether a path is a URL, or a `Path` was made of one, which has only one "/" after the scheme.

    Examples
    --------
    >>> was_url("s3://bucket/a"), was_url(Path("s3://bucket/a")), was_url(Path("C:/a")), was_url(Path("lmu:/data"))
    (True, True, False, False)
    """
    first = Path(path).parts[:1]
    return is_url(path) or (bool(first) and first[0] in _SCHEMES and not Path(first[0]).exists())


def place_of(typed: str | Path | RemotePath) -> Place:
    """What a typed path is: a path on disk, or a URL.

    A URL that ends in .zip is read like the zip's content.

    Raises
    ------
    DataNotFound
        If it is a web address, which has no listing of its files.

    Examples
    --------
    >>> place_of("s3://bucket/frames/"), place_of("s3://bucket/export.zip")
    (RemotePath('s3://bucket/frames'), RemotePath('zip://::s3://bucket/export.zip'))
    >>> place_of("frames").is_absolute(), place_of("file:///data/frames").as_posix()
    (False, '/data/frames')
    """
    if not isinstance(typed, str) or not is_url(typed):
        return typed if isinstance(typed, RemotePath) else Path(typed)
    if typed.startswith(_ON_DISK):
        from urllib.request import url2pathname  # which imports http and ssl

        return Path(url2pathname(urlsplit(typed).path))
    if typed.startswith(("http://", "https://")):
        what = "is a web address, which has no listing of its files"
        raise DataNotFound(
            f"{without_secrets(typed)}: {what}; download the files, or give the URL of a bucket"
        )
    url = typed.rstrip("/") if "::" not in typed and not typed.endswith("://") else typed
    if "::" not in url and url.lower().endswith(".zip"):
        url = f"zip://::{url}"
    return RemotePath(url)


def without_secrets(text: str) -> str:
    """A text without the users, passwords and query strings in its URLs.

    Examples
    --------
    >>> without_secrets("cannot open ftp://ada:secret@ward/a.png")
    'cannot open ftp://ward/a.png'
    >>> without_secrets("s3://bucket/a?X-Amz-Signature=12 is not there")
    's3://bucket/a is not there'
    """
    return _IN_TEXT.sub(lambda url: _SECRETS.sub("", url[0]), text)


@lru_cache(maxsize=32)
def _file_system(url: str, process: int) -> tuple[Any, str]:  # noqa: ARG001 - a forked process needs its own
    """The file system of fsspec for a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra("fsspec", "scale") from error
    files, path = url_to_fs(url)
    return files, path.rstrip("/")


def _version_of(info: Mapping[str, Any]) -> str:
    return " ".join(str(info[key]) for key in _VERSIONS if info.get(key))


def _is_lost(error: BaseException) -> bool:
    """Whether an error may pass if the same is tried again."""
    if isinstance(error, (FileNotFoundError, PermissionError)):
        return False
    if any(kind.__name__ in _LOST_NAMES for kind in type(error).__mro__):
        return True
    return isinstance(error, OSError) and error.errno in _LOST
