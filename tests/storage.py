"""Storages at URLs for tests: an S3 server, memory, a folder; and a connection to the server that fails on demand.

The fixtures `s3` and `storage` give the URL of an empty place, and `unreliable` what stands between the client and the server.
"""

from __future__ import annotations

import http.client
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pytest

from pcm_leukemia import remote

SECRET = "not-for-anybody"
Fault = Literal["drop", "busy", "cut", "forbidden"]


def forget_connections() -> None:
    """Make fsspec and s3fs read their environment variables again."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    remote._file_system.cache_clear()


@pytest.fixture(scope="session")
def s3_address() -> Iterator[tuple[str, int]]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield str(host), int(port)
    finally:
        server.stop()


def point_at(monkeypatch: pytest.MonkeyPatch, host: str, port: int) -> None:
    """Set what s3fs reads of the environment: the address of a server and made-up credentials."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",  # our own attempts are tested, not those of botocore
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    forget_connections()


@pytest.fixture
def s3(s3_address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty folder in a new bucket."""
    import s3fs

    point_at(monkeypatch, *s3_address)
    bucket = f"ward-{uuid.uuid4().hex}"
    s3fs.S3FileSystem().mkdir(bucket)
    try:
        yield f"s3://{bucket}/frames"
    finally:
        forget_connections()


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of an empty folder in the memory of this process."""
    from fsspec.implementations.memory import MemoryFileSystem

    name = uuid.uuid4().hex
    yield f"memory://{name}/frames"
    files = MemoryFileSystem()
    if files.exists(f"/{name}"):
        files.rm(f"/{name}", recursive=True)


@pytest.fixture(params=["memory", "s3"])
def storage(request: pytest.FixtureRequest) -> str:
    """The URL of an empty folder in each storage that tests have."""
    return str(request.getfixturevalue(request.param))


def upload(folder: Path, url: str) -> None:
    """Put all files below a folder at a URL."""
    from fsspec.core import url_to_fs

    files, path = url_to_fs(url)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            files.pipe_file(f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes())


def stored(url: str) -> dict[str, bytes]:
    """The content of all files below a URL, by their paths."""
    from fsspec.core import url_to_fs

    files, path = url_to_fs(url)
    files.invalidate_cache()
    start = f"{path.strip('/')}/"
    return {
        name.strip("/").removeprefix(start): files.cat_file(name)
        for name in files.find(path)
        if name.strip("/").startswith(start)
    }


class Unreliable:
    """A server that hands requests on to another, except for those that it was told to spoil."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.faults: list[Fault] = []
        """What happens to the next requests."""
        self.puts_left: int | None = None
        """How many files can still be written before the server is gone."""
        self.once: set[str] | None = None
        """Requests that were spoiled; each is spoiled once, if this is a set."""
        self.requests: list[str] = []
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                with lock:
                    fault = outer.fault_of(f"{self.command} {self.path}")
                if fault == "drop":
                    self.close_connection = True
                    return
                if fault in ("busy", "forbidden"):
                    self.send_response(503 if fault == "busy" else 403)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                there = http.client.HTTPConnection(*address, timeout=60)
                there.request(self.command, self.path, body, dict(self.headers))
                found = there.getresponse()
                data = found.read()
                self.send_response(found.status)
                for name, value in found.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                size = found.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
                self.send_header("Content-Length", size or "0")
                self.end_headers()
                if fault == "cut":
                    self.wfile.write(data[: len(data) // 2])
                    self.close_connection = True
                else:
                    self.wfile.write(data)
                there.close()

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address: tuple[str, int] = ("127.0.0.1", self.server.server_port)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def fault_of(self, request: str) -> Fault | None:
        """Note a request, and decide what happens to it."""
        self.requests.append(request)
        if self.puts_left is not None:
            if request.startswith("PUT") and self.puts_left > 0:
                self.puts_left -= 1
            elif not self.puts_left:
                return "busy"  # s3fs tries a dropped connection again five times, which takes long
        if self.once is not None and request not in self.once:
            self.once.add(request)
            return "busy" if len(self.once) % 2 else "drop"
        return self.faults.pop(0) if self.faults else None

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def unreliable(
    s3: str,  # noqa: ARG001 - before it, since it sets the same variables
    s3_address: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Unreliable]:
    """What the client of `s3` talks to instead of the server."""
    server = Unreliable(s3_address)
    try:
        point_at(monkeypatch, *server.address)
        yield server
    finally:
        server.close()
        forget_connections()
