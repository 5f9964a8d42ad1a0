"""Embeddings: features that a backbone gives to each cell, the file that keeps them, and how much they tell.

`embed` writes a parquet file with one row for each cell, which pandas and `datasets` open; `read` reads it, and `probe`
compares such files.

======================  ===========================================================================================
image, cell             the image's id and the cell's number in it, as in `Dataset.to_pandas`
label                   the class
patient, diagnosis      of the image; null if unknown
group                   images with the same group belong together, whatever their patients; null without one
part                    the part of the split; null without a split
x1, y1, x2, y2          the box in pixels
features                the features, a list of float32 of fixed length
======================  ===========================================================================================

`About` is in the schema's metadata, as JSON under the key ``pcm_leukemia``.
"""

from __future__ import annotations

from pcm_leukemia.baselines.embedding.features import embed
from pcm_leukemia.baselines.embedding.parquet import About, Embeddings, check_out, read, write
from pcm_leukemia.baselines.embedding.probing import Probe, Probes, probe

__all__ = ["About", "Embeddings", "Probe", "Probes", "check_out", "embed", "probe", "read", "write"]
