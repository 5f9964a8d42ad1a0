"""The data set that an image came from, where several were joined."""

from __future__ import annotations

from collections import defaultdict

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.schema import Image, ImageId

__all__ = ["sources_of"]


def sources_of(ds: Dataset) -> dict[ImageId, str]:
    """The source of each image: the name that `joining.concat` put before its id; {} if fewer than two are known.

    A folder before an image's name is not enough, since it may be a task or a diagnosis. It is a source if the
    patients and groups of its images have it before their ids, too, or if the split or the name of the data set records
    it. Subsets are no sources: in most data sets they are parts.

    Examples
    --------
    >>> from pcm_leukemia import NINE
    >>> from pcm_leukemia.joining import concat
    >>> image = Image(ImageId("a.png"), 64, 64)
    >>> sources_of(concat([Dataset("here", NINE, (image,)), Dataset("there", NINE, (image,))]))
    {'here/a.png': 'here', 'there/a.png': 'there'}
    """
    by_name: dict[str, list[Image]] = defaultdict(list)
    for image in ds.images:
        by_name[_before_name(image)].append(image)
    recorded = {
        *ds.name.split("+"),
        *(key.removeprefix("of ") for key in (ds.split.made if ds.split else ())),
    }
    if len(by_name) < 2 or not all(_is_source(name, recorded, images) for name, images in by_name.items()):
        return {}
    return {image.id: name for name, images in by_name.items() for image in images}


def _before_name(image: Image) -> str:
    """What the id has before the image's subset and name; "" if nothing."""
    for path in (f"{image.subset}/{image.name}", image.name):
        if image.id.endswith(f"/{path}"):
            return image.id[: -len(path) - 1]
    return ""


def _is_source(name: str, recorded: set[str], images: list[Image]) -> bool:
    ids = [each for image in images for each in (image.patient, image.group) if each is not None]
    return bool(name) and all(each.startswith(f"{name}/") for each in ids) and bool(ids or name in recorded)
