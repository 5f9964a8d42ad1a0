"""The file of embeddings: parquet, with one row for each cell; the face of this room lists its columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pcm_leukemia.dataset import Dataset
from pcm_leukemia.errors import CorruptFile, DataNotFound, MissingExtra, WrongTarget
from pcm_leukemia.files import check_file, new_file, written_as
from pcm_leukemia.schema import Cell

__all__ = ["About", "Embeddings", "check_out", "read", "write"]

_KIND = "embeddings of pcm-leukemia"
_KEY = b"pcm_leukemia"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """How the features of a file were made.

    Parameters
    ----------
    model
        The model, as it was asked for or as the run's settings name it.
    weights
        The weights, as they were asked for, or the folder of the run.
    architecture
        The model's name at timm.
    image_size
        The side of the pictures that the model took, in pixels.
    padding
        Pixels around the box that belong to a crop.
    stain
        How the stain was normalised, as in the run's settings.
    width
        The number of features.
    data, fingerprint
        The name of the data set, and its fingerprint.
    split
        The name of its split; None without one.
    val_shares_patients
        Whether the parts train and val of the split may have patients in common.
    labels
        The classes, in the order of their ids.
    pretraining
        A sentence if the weights have seen these data in pretraining, or "".
    version
        The version of pcm-leukemia that wrote the file.
    """

    model: str
    weights: str
    architecture: str
    image_size: int
    padding: int
    stain: str
    width: int
    data: str
    fingerprint: str
    split: str | None
    val_shares_patients: bool
    labels: tuple[str, ...]
    pretraining: str
    version: str
    kind: str = _KIND


@dataclass(frozen=True)
class Embeddings:
    """A file of embeddings: `rows` has the columns other than the features, `features` is float32, ``(n, width)``."""

    path: Path
    about: About
    rows: dict[str, list[Any]]
    features: npt.NDArray[np.float32]


def check_out(out: str | Path) -> Path:
    """Refuse a target that exists, is not named .parquet, or is inside a folder that pcm-leukemia wrote.

    Returns its absolute path.

    Raises
    ------
    WrongTarget
        If it exists, cannot be written, has another suffix, or is inside such a folder.
    MissingExtra
        If pyarrow is not installed.
    """
    _pyarrow()
    path = Path(out).absolute()
    if path.exists() or path.is_symlink():
        raise WrongTarget(f"{out}: exists; name a file that does not exist yet")
    for above in path.parents:
        if written_as(above):
            raise WrongTarget(f"{out}: is inside {above}, which holds a data set; name a file beside it")
    if path.suffix.lower() != ".parquet":
        raise WrongTarget(f"{out}: is not named .parquet; name a file such as {Path(out).stem}.parquet")
    return check_file(out)


def write(
    out: str | Path,
    ds: Dataset,
    about: About,
    blocks: Iterable[tuple[Sequence[Cell], npt.NDArray[np.float32]]],
) -> None:
    """Write embeddings as they come, each block as a row group, so that only one is in memory.

    Parameters
    ----------
    out
        A new file.
    ds
        The data set of the cells.
    about
        How the features are made.
    blocks
        Cells, and the features of each of them, ``(n, about.width)``.

    Raises
    ------
    WrongTarget
        If `out` exists or cannot be written.
    MissingExtra
        If pyarrow is not installed.
    """
    path, pa = check_out(out), _pyarrow()
    schema = _schema(pa, about)
    with new_file(path) as work, pa.parquet.ParquetWriter(work, schema) as writer:
        for cells, features in blocks:
            flat = pa.array(np.ascontiguousarray(features, np.float32).reshape(-1))
            rows = [_row(ds, cell) for cell in cells]
            columns = [[row[name] for row in rows] for name in schema.names[:-1]]
            lists = pa.FixedSizeListArray.from_arrays(flat, about.width)
            writer.write_table(pa.table([*columns, lists], schema=schema))


def read(path: str | Path) -> Embeddings:
    """Read a file that `write` wrote.

    Raises
    ------
    DataNotFound
        If it does not exist.
    CorruptFile
        If it is something else, or a feature is not a number or a label not a class.
    MissingExtra
        If pyarrow is not installed.
    """
    pa, path = _pyarrow(), Path(path)
    if not path.is_file():
        raise DataNotFound(f"{path}: no such file; make it: pcm-leukemia embed RUN|MODEL DATA {path}")
    try:
        table = pa.parquet.read_table(path)
        about = msgspec.json.decode((table.schema.metadata or {}).get(_KEY, b"{}"), type=About)
    except (pa.ArrowException, OSError, ValueError, msgspec.MsgspecError) as error:
        raise CorruptFile(_not_one(path, str(error).partition(". ")[0].rstrip("."))) from error
    if about.kind != _KIND or table.schema != _schema(pa, about):
        raise CorruptFile(_not_one(path, "its columns are others"))
    flat = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    features = flat.reshape(-1, about.width)
    if not np.isfinite(features).all():
        raise CorruptFile(
            f"{path}: a feature is not a number; check the weights of the model, and embed again"
        )
    rows = table.drop_columns(["features"]).to_pydict()
    if other := sorted(set(rows["label"]) - {*about.labels}):
        raise CorruptFile(f'{path}: the label "{other[0]}" is not one of its classes; embed the data again')
    return Embeddings(path, about, rows, features)


def _not_one(path: Path, reason: str) -> str:
    return f"{path}: is not a file of embeddings ({reason}); make one: pcm-leukemia embed RUN|MODEL DATA OUT.parquet"


def _row(ds: Dataset, cell: Cell) -> dict[str, Any]:
    image, box = ds.image(cell.image), cell.box
    return {
        "image": cell.image,
        "cell": cell.id,
        "label": cell.label,
        "patient": image.patient,
        "diagnosis": ds.diagnosis_of(image),
        "group": image.group,
        "part": ds.part_of(image) if ds.split else None,
        "x1": box.x1,
        "y1": box.y1,
        "x2": box.x2,
        "y2": box.y2,
    }


def _schema(pa: Any, about: About) -> Any:
    types = {
        "image": pa.string(),
        "cell": pa.int64(),
        "label": pa.string(),
        **dict.fromkeys(("patient", "diagnosis", "group", "part"), pa.string()),
        **dict.fromkeys(("x1", "y1", "x2", "y2"), pa.float64()),
        "features": pa.list_(pa.float32(), about.width),
    }
    return pa.schema(list(types.items()), metadata={_KEY: msgspec.json.encode(about)})


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "hf") from error
    return pa
