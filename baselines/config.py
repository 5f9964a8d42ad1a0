"""The settings of a model: its .toml, then a preset, then the caller's changes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast, get_args, get_origin, get_type_hints

import msgspec

from pcm_leukemia import baselines
from pcm_leukemia.baselines.contract import Module
from pcm_leukemia.errors import closest

__all__ = ["ADDED", "RENAMED", "Baseline", "find", "recorded", "settings"]

RENAMED = {
    "clip": "clip_max_norm",
    "colour": "color_jitter",
    "colours": "photometric_distort",
    "crop": "iou_crop",
    "ema_warmup": "ema_warmup_steps",
    "end": "final_lr_fraction",
    "flip_across": "flip_horizontal",
    "flip_down": "flip_vertical",
    "imagenet": "imagenet_normalize",
    "keep_images": "cache_images",
    "lr0": "lr",
    "lrf": "final_lr_fraction",
    "most": "max_detections",
    "overlap": "nms_iou",
    "plain_first": "no_augment_first",
    "plain_last": "no_augment_last",
    "probe_rate": "probe_lr",
    "rate": "lr",
    "warmup": "warmup_epochs",
}
"""Former names of settings. Runs on disk may have them; a caller who uses one gets an error with the new name."""


ADDED = {"lora_alpha": 16, "lora_lr": 2e-4, "lora_rank": 8, "multi_label": True}
"""Settings that runs on disk may lack, with values that change nothing for them."""


class Baseline(NamedTuple):
    """A reference model as its .toml describes it.

    `kind` is "detector" or "classifier", `paper` is its name in the paper's tables, and `presets` maps the name of each
    preset to the `values` that it changes. `pretrained_on` names the public data sets that its published weights have seen
    without labels.
    """

    name: str
    kind: str
    tasks: tuple[str, ...]
    paper: str
    values: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]]
    pretrained_on: tuple[str, ...] = ()

    @property
    def module(self) -> Module:
        """The code of the model; brings its libraries."""
        return cast(Module, baselines.module(self.name))


def find(name: str) -> Baseline:
    """The model of that name.

    Raises
    ------
    ValueError
        If there is no such model.

    Examples
    --------
    >>> find("resnet50").kind
    'classifier'
    """
    known = baselines.names()
    if name not in known:
        raise ValueError(f'baseline "{name}": no such model; use one of: {", ".join(known)}')
    table = tomllib.loads(baselines.settings_file(name).read_text(encoding="utf-8"))
    presets = {"paper": {}, **table.get("presets", {})}
    return Baseline(
        name,
        table["kind"],
        tuple(table["tasks"]),
        table["paper"],
        table["settings"],
        presets,
        tuple(table.get("pretrained_on", ())),
    )


def settings(baseline: Baseline, preset: str = "paper", changes: Mapping[str, Any] | None = None) -> Any:
    """The `Settings` of a model: the paper's values, changed by the preset, then by the caller's `changes`.

    The values of `changes` may be strings, as the command line passes them.

    Raises
    ------
    ValueError
        If the preset or a setting is unknown, a setting was renamed, or a value has the wrong type or is out of range.

    Examples
    --------
    >>> settings(find("resnet50"), "paper", {"epochs": "7"}).epochs
    7
    """
    if preset not in baseline.presets:
        raise ValueError(
            f'preset "{preset}": {baseline.name} has {", ".join(baseline.presets)}; use one of them'
        )
    values = {**baseline.values, **baseline.presets[preset], **(changes or {})}
    struct = baseline.module.Settings
    for key in values:
        _require_known(key, struct.__struct_fields__, baseline)
    try:
        # strings are converted ("7" to 7), since the command line has nothing else
        return msgspec.convert(values, struct, strict=False)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, ValueError):  # out of range: the error has its own sentence
            raise error.__cause__ from None
        _require_choices(values, struct)
        raise ValueError(f"settings of {baseline.name}: {error}; give a value of that type") from error


def recorded(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a run of the model `name` recorded, as this version has them.

    Former names are replaced, and settings that the version of the run did not have yet are added.

    Examples
    --------
    >>> recorded("resnet50", {"lr0": 0.01, "epochs": 100})
    {'lora_alpha': 16, 'lora_lr': 0.0002, 'lora_rank': 8, 'lr': 0.01, 'epochs': 100}
    """
    known = find(name).values if name in baselines.names() else {}
    added = {key: value for key, value in ADDED.items() if key in known}
    return {**added, **{RENAMED.get(key, key): value for key, value in values.items()}}


def _require_choices(values: Mapping[str, Any], struct: type[msgspec.Struct]) -> None:
    """Refuse a value that its setting does not allow."""
    for key, kind in get_type_hints(struct).items():
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        if choices and values.get(key) not in choices:
            raise ValueError(
                f"setting {key}: is {values.get(key)}; give one of {', '.join(map(str, choices))}"
            )


def _require_known(key: str, known: Sequence[str], baseline: Baseline) -> None:
    if key in known:
        return
    new = RENAMED.get(key)
    if new in known:
        raise ValueError(f'setting "{key}": is now called "{new}"; use {new}=...')
    near = closest(key, known)
    hint = f"did you mean {near}?" if near else f"use one of: {', '.join(known)}"
    raise ValueError(f'setting "{key}": {baseline.name} has no such setting; {hint}')
