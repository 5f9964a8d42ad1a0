"""A small server on 127.0.0.1 that answers cvat-sdk's client in CVAT's schema, for tests.

It counts the bytes that it sends, and can be told to refuse, to break off and to be slow.
"""

from __future__ import annotations

import io
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cvat_answers import ROUTES
from cvat_project import Asked, Cvat, Reply
from cvat_uploads import UPLOADS
from exports import box, document, header, image, png, zipped

TOKEN = "pat-0123456789-do-not-tell"

NAMES = (("Train", 3, "a.png"), ("Train", 3, "P 1/b&c.png"), ("Test", 4, "a.png"), ("Test", 4, "ä/d.png"))
"""Subset, task and name of each image."""


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cvat: Cvat

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        cvat = self.cvat
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(cvat.pause)
        with cvat.lock:
            cvat.asked[f"{self.command} {re.sub(r'[0-9]+', 'N', parts.path)}"] += 1
            cvat.heard.append(self.path)
            found = next((what() for path, what in cvat.faults if re.search(path, self.path)), 0)
            if found == "lose":
                self.wfile = io.BytesIO()
                self.close_connection = True
                found = 0
            if found in ("drop", "cut"):
                if found == "cut":
                    self._send(200, b"x" * 1000, "image/png", length=5000)
                self.close_connection = True
                return
            if found == "html":
                self._send(200, b"<html>Please log in</html>", "text/html")
            elif found:
                self._json({"detail": "no"}, int(found))
            elif parts.path != "/api/server/about" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._json({"detail": "Authentication credentials were not provided."}, 401)
            else:
                self._route(parts.path, query, body)

    def _route(self, path: str, query: dict[str, str], body: bytes) -> None:
        host = f"http://{self.headers['Host']}"
        is_json = "json" in self.headers.get("Content-Type", "") and body
        for pattern, answer in (*ROUTES, *UPLOADS):
            if match := re.fullmatch(pattern, f"{self.command} {path}"):
                about = match.groupdict()
                asked = Asked(
                    host,
                    about.get("kind", ""),
                    int(about.get("number", 0)),
                    query,
                    json.loads(body) if is_json else None,
                    self.command,
                    about.get("rest", ""),
                    dict(self.headers.items()),
                    body,
                )
                content = answer(self.cvat, asked)
                if content is None:
                    self._json({"detail": "Not found."}, 404)
                elif isinstance(content, Reply):
                    self._json(content.content, content.status, content.headers)
                elif isinstance(content, bytes):
                    self._send(200, content, "application/octet-stream")
                else:
                    self._json(content, 202 if path.endswith("/export") else 200)
                return
        self._json({"detail": f"no {self.command} {path}"}, 404)

    def _json(self, content: Any, status: int, headers: Mapping[str, str] = {}) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self._send(status, body, "application/vnd.cvat+json", headers=headers)

    def _send(
        self,
        status: int,
        body: bytes,
        kind: str,
        *,
        length: int | None = None,
        headers: Mapping[str, str] = {},
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.cvat.sent += len(body) + 200


@contextmanager
def serving(data: Path) -> Iterator[tuple[Cvat, str]]:
    """The server on a free port of 127.0.0.1, and its address; it ends with the block."""
    cvat = Cvat(data)
    handler = type("Answers", (_Answers,), {"cvat": cvat})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        host = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield cvat, host
        finally:
            server.shutdown()
            thread.join()


def zip_of(cvat: Cvat, path: Path, kind: str = "project", number: int = 7) -> Path:
    """Write the zip that the server exports with images."""
    path.write_bytes(cvat.export(kind, number, images=True))
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two tasks in two subsets, with one name in both; every image has other pixels."""
    elements, files = [], {}
    for index, (subset, task, name) in enumerate(NAMES):
        shape = box("Monocyte", (10, 20, 50.25, 70 + index))
        elements.append(image(name, shape, number=index, subset=subset, task_id=task))
        files[f"images/{subset}/{name}"] = png(color=(index, 200, 30))
    text = document(*elements, meta=header("project"))
    return zipped(tmp_path / "project.zip", {"annotations.xml": text, **files})


@pytest.fixture
def served(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cvat, str]]:
    """The server and its address; the token is in the environment, and no profile is saved."""
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    import urllib3  # comes with cvat-sdk

    monkeypatch.setattr(urllib3.util.Retry, "get_backoff_time", lambda _: 0)
    with serving(project) as (cvat, host):
        yield cvat, host
