"""The frames of tasks and jobs on a server: their numbers, and when they were last changed.

An export numbers the frames of the source (a video, or all files of a folder); requests count those of the task. A job's
frames have their numbers in the task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from pcm_leukemia.cvat_server.address import Address
from pcm_leukemia.cvat_server.connection import answers
from pcm_leukemia.errors import ServerError

if TYPE_CHECKING:
    from cvat_sdk.core.client import Client

__all__ = ["Media", "There"]

_STEP = re.compile(r"step=(\d+)")


class Media(msgspec.Struct, frozen=True):
    """The frames of a task or job.

    `changed` is when they were last changed. `start` and `step` are those of the frames in the source, and `first` is the
    number of the first one in requests.
    """

    changed: str
    start: int
    step: int
    first: int

    def number(self, frame: int) -> int:
        """The number for requests of a frame of the source."""
        return (frame - self.start) // self.step + self.first


@dataclass(frozen=True, slots=True)
class There:
    """What is at an address, as the SDK's objects.

    `root` is the project, task or job. `owners` are what frames belong to: the tasks of a project by their number, as its
    export names them, or "" -> the task or job itself. `updated` is when each of them and the root was last changed.
    """

    address: Address
    root: Any
    owners: Mapping[str, Any]
    updated: dict[str, str]

    @classmethod
    def at(cls, client: Client, address: Address) -> There:
        """Ask for a project, task or job; ServerError if it does not exist or may not be seen."""
        with answers(address):
            if address.kind == "project":
                root = client.projects.retrieve(address.number)
                owners = {str(task.id): task for task in root.get_tasks()}
            else:
                root = (client.tasks if address.kind == "task" else client.jobs).retrieve(address.number)
                owners = {"": root}
            updated = {"address": root.updated_date.isoformat()}
            updated |= {key: owner.updated_date.isoformat() for key, owner in owners.items()}
        return cls(address, root, owners, updated)

    def media(self, task: str) -> Media:
        """Ask for the frames of a task or job; ServerError if it has other media than images and videos."""
        owner = self.owners[task]
        with answers(self.address):
            meta = owner.get_meta()
            step = _STEP.search(getattr(meta, "frame_filter", None) or "")
            dimension = str(getattr(owner.dimension, "value", owner.dimension))
            media = Media(
                changed=meta.chunks_updated_date.isoformat(),
                start=getattr(meta, "start_frame", 0),
                step=int(step[1]) if step else 1,
                first=owner.start_frame if self.address.kind == "job" else 0,
            )
        if dimension != "2d":
            raise ServerError(
                f"{self.address}: its media are {dimension.upper()}, and only images are read; name a project of images"
            )
        return media

    def frame(self, task: str, number: int, name: str) -> bytes:
        """The file of a frame, as it was uploaded; ServerError if something else comes."""
        where, owner = f'{self.address} image "{name}"', self.owners[task]
        with answers(where):
            # get_frame would leave a copy of each frame of a job in the system's folder for temporary files
            _, response = owner.api.retrieve_data(
                owner.id, number=number, quality="original", type="frame", _parse_response=False
            )
            with response:
                data: bytes = response.read()
        if data.lstrip()[:1] in (b"", b"<", b"{"):
            raise ServerError(
                f"{where}: the server sends no image; look at it in CVAT, and run the same command again"
            )
        return data
