"""The canonical folder: a data set as tables that people, git and spreadsheets can read.

::

    dataset.json        name, schema_version, taxonomy, counts, fingerprint, checksums, images_root
    patients.csv        patient, diagnosis
    images.csv          image, width, height, patient, name, subset, file, tags, annotation_state, diagnosis, group, digest,
                        white_level
    cells.csv           image, cell, label, x1, y1, x2, y2, raw_label, shape, ..., attributes
    splits/<name>.csv   image, patient, part, below lines that say how the split was made

The tables are UTF-8 with a header row; numbers are written so that they read back exactly. An
empty field means that there is no value. The images stay where they are: `images_root` is their path relative to the
folder.
"""

from __future__ import annotations

from pcm_leukemia.store.header import recognises
from pcm_leukemia.store.reader import read
from pcm_leukemia.store.split_files import add_split, chosen_split, read_split, split_names
from pcm_leukemia.store.writer import check_losses, write

__all__ = [
    "add_split",
    "check_losses",
    "chosen_split",
    "read",
    "read_split",
    "recognises",
    "split_names",
    "write",
]

TITLE = "a canonical folder (dataset.json)"
PRECEDENCE = 0
