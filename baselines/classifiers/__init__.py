"""The classifiers of single cells: ResNet50 and DinoBloom, and what they share.

`resnet50` and `dinobloom` say which network; `training` runs the `phases` (linear probing, fine-tuning) of `settings`
with `loop` on the `crops`, and gives a `network` back.
"""

from __future__ import annotations

__all__: list[str] = []
