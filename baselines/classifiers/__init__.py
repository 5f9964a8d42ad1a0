"""The classifiers of single cells: any image model of timm, with ResNet50 and DinoBloom as settings of it.

`timm` trains and loads a classifier. It takes one of the `backbones` (`dinobloom_weights` reads DinoBloom's files) and
trains it on `crops`, in the `phases` (linear probing, then fine-tuning or `low_rank` adaptation) that `settings` asks
for, each run by `loop`. The result is a `network`, kept in one file.
"""

from __future__ import annotations

__all__: list[str] = []
