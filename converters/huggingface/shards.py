"""Parquet files of limited size, written as a stream: only one row group is in memory.

A file for a URL is first written to a temporary one on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from pcm_leukemia.converters.huggingface.columns import pyarrow
from pcm_leukemia.remote import Place, RemotePath

__all__ = ["Shard", "Shards"]

_GROUP_ROWS = 100
_GROUP_BYTES = 8 << 20
"""Rows and bytes at which a row group ends. Readers load a whole group; writing needs about ten times its size."""
_ROW_BYTES = 200
"""Approximate size of a row without its image."""


class Shard(NamedTuple):
    """A finished file: its path below the folder, rows, size in bytes and checksum."""

    path: str
    rows: int
    size: int
    sha256: str


class Shards:
    """The files of one split of one configuration: ``<config>/<split>-00000-of-00003.parquet``.

    A file has at most `limit` bytes, but at least one row. If there are no rows, there is no file. Nothing is
    compressed: the images already are, and the rest is small.
    """

    def __init__(self, folder: Place, config: str, split: str, schema: Any, limit: int) -> None:
        self.folder, self.config, self.split = folder, config, split
        self.schema, self.limit = schema, limit
        self.rows = 0
        self.arrow_bytes = 0
        self._done: list[tuple[str, int, int, str]] = []
        self._pending: list[dict[str, Any]] = []
        self._pending_bytes = self._file_rows = self._file_bytes = 0
        self._writer: Any = None
        self._sink: _Hashing | None = None
        if isinstance(folder, Path):
            (folder / config).mkdir(exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self._end_file()
        elif self._sink is not None:
            with contextlib.suppress(OSError):  # the folder is about to be removed
                self._writer.close()
            self._sink.close()
            self._sink.discard()

    def add(self, row: dict[str, Any]) -> None:
        """Add one row; its image is in ``row["image"]["bytes"]``."""
        size = len(row["image"]["bytes"]) + len(row.get("pcm") or "") + _ROW_BYTES
        if self._file_rows and self._file_bytes + size > self.limit:
            self._end_file()
        self._pending.append(row)
        self._pending_bytes += size
        self._file_bytes += size
        self._file_rows += 1
        self.rows += 1
        if len(self._pending) == _GROUP_ROWS or self._pending_bytes >= _GROUP_BYTES:
            self._end_group()

    def finish(self) -> list[Shard]:
        """Rename the files to include their total number, and return them."""
        shards = []
        for index, (work, rows, size, sha256) in enumerate(self._done):
            path = f"{self.config}/{self.split}-{index:05d}-of-{len(self._done):05d}.parquet"
            if isinstance(self.folder, RemotePath):
                (self.folder / work).rename(self.folder / path)
            else:
                (self.folder / work).rename(self.folder / path)
            shards.append(Shard(path, rows, size, sha256))
        return shards

    def _end_group(self) -> None:
        pa = pyarrow()
        if self._writer is None:
            work = f"{self.config}/{self.split}-{len(self._done):05d}"
            self._sink = _Hashing(self.folder, work)
            self._writer = pa.parquet.ParquetWriter(
                self._sink,
                self.schema,
                compression="none",
                use_dictionary=False,
                write_statistics=["image_id", "patient", "diagnosis", "label"],
                write_page_index=True,
            )
        table = pa.Table.from_pylist(self._pending, schema=self.schema)
        self.arrow_bytes += table.nbytes
        self._writer.write_table(table)
        self._pending, self._pending_bytes = [], 0

    def _end_file(self) -> None:
        if self._pending:
            self._end_group()
        if self._writer is not None and self._sink is not None:
            self._writer.close()
            self._sink.close()
            self._sink.upload()
            self._done.append(
                (self._sink.name, self._file_rows, self._sink.written, self._sink.digest.hexdigest())
            )
        self._writer = self._sink = None
        self._file_rows = self._file_bytes = 0


class _Hashing(io.RawIOBase):
    """A file that is hashed while it is written, so that it is not read again."""

    def __init__(self, folder: Place, name: str) -> None:
        self.name, self._target = name, folder / name
        self.digest = hashlib.sha256()
        self.written = 0
        self._work = tempfile.TemporaryDirectory() if isinstance(folder, RemotePath) else None
        self._path = Path(self._work.name) / "shard" if self._work else Path(str(self._target))
        self._stream = self._path.open("wb")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        count = self._stream.write(data)
        self.written += count
        return count

    def tell(self) -> int:
        return self.written

    def flush(self) -> None:
        if not self._stream.closed:
            self._stream.flush()

    def close(self) -> None:
        self._stream.close()
        super().close()

    def upload(self) -> None:
        """Write the finished file to its URL, if the target is one."""
        try:
            if isinstance(self._target, RemotePath):
                self._target.upload(self._path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the temporary file."""
        if self._work:
            self._work.cleanup()
