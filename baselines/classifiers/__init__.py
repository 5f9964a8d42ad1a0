"""The classifiers of single cells, ResNet50 and DinoBloom, and what they share.

`resnet50` and `dinobloom` each build a backbone. `training` trains it on `crops`, in the `phases` (linear probing,
fine-tuning) that `settings` asks for, each run by `loop`. The result is a `network`, kept in one file.
"""

from __future__ import annotations

__all__: list[str] = []
