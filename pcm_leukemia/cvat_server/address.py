"""The address of a project, a task or a job on a CVAT server, as the browser shows it."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, cast
from urllib.parse import urlsplit

from pcm_leukemia.errors import ServerError

__all__ = ["Address", "Kind", "address_of"]

Kind = Literal["project", "task", "job"]

_PAGE = re.compile(r"(?:/api)?(?:/tasks/\d+)?/(project|task|job)s/(\d{1,18})/?")
_EXAMPLE = "copy it from the browser, such as https://app.cvat.ai/projects/7"


class Address(NamedTuple):
    """A project, a task or a job: the server's scheme and host, and the kind and number of what is there."""

    server: str
    kind: Kind
    number: int

    def __str__(self) -> str:
        return f"{self.server}/{self.kind}s/{self.number}"


def address_of(url: str) -> Address:
    """Read an address; a scheme that is missing is https, as for cvat-sdk.

    Raises
    ------
    ServerError
        If it is not the address of a project, a task or a job, or contains a password.

    Examples
    --------
    >>> print(address_of("CVAT.hospital.org/tasks/12/jobs/34?frame=5"))
    https://cvat.hospital.org/jobs/34
    """
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host, user, _ = parts.hostname, parts.username, parts.port
    except ValueError as error:
        raise ServerError(f"{url}: is not an address ({error}); {_EXAMPLE}") from error
    if user is not None:  # not repeated: it may be a password
        raise ServerError(
            f"{host}: the address contains a user name or password; leave it out, and save an access token: "
            f"{save_token(f'https://{host}')}"
        )
    page = _PAGE.fullmatch(parts.path)
    if parts.scheme not in ("http", "https") or not host or not page:
        raise ServerError(f"{url}: is not the address of a project, a task or a job; {_EXAMPLE}")
    return Address(f"{parts.scheme}://{parts.netloc.lower()}", cast(Kind, page[1]), int(page[2]))


def save_token(server: str) -> str:
    """The command that saves an access token for a server; it asks for the token."""
    return f"cvat-cli --server-host {server} profile create"
