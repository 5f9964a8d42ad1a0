"""A model's numbers: those of its .toml, with a preset and the caller's changes on top."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, cast

import msgspec

from pcm_leukemia import baselines
from pcm_leukemia.baselines.contract import Module

__all__ = ["Baseline", "find", "settings"]


class Baseline(NamedTuple):
    """A reference model as its .toml describes it.

    `kind` is "detector" or "classifier", `paper` its name in the paper's tables, `presets` what the preset
    of each name changes in `values`.
    """

    name: str
    kind: str
    tasks: tuple[str, ...]
    paper: str
    values: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]]

    @property
    def module(self) -> Module:
        """The code of the model; brings its libraries."""
        return cast(Module, baselines.module(self.name))


def find(name: str) -> Baseline:
    """The model of that name.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> find("resnet50").kind
    'classifier'
    """
    known = baselines.names()
    if name not in known:
        raise ValueError(f'baseline "{name}": is none; use one of: {", ".join(known)}')
    table = tomllib.loads(baselines.settings_file(name).read_text(encoding="utf-8"))
    presets = {"paper": {}, **table.get("presets", {})}
    return Baseline(name, table["kind"], tuple(table["tasks"]), table["paper"], table["settings"], presets)


def settings(baseline: Baseline, preset: str = "paper", changes: Mapping[str, Any] | None = None) -> Any:
    """The `Settings` of a model: the paper's, those of the preset on top, then the caller's `changes`.

    Changes may be texts, as the command line gives them.

    Raises
    ------
    ValueError
        If there is no such preset or setting, or a value is of another type.

    Examples
    --------
    >>> settings(find("resnet50"), "paper", {"epochs": "7"}).epochs
    7
    """
    if preset not in baseline.presets:
        raise ValueError(
            f'preset "{preset}": {baseline.name} has {", ".join(baseline.presets)}; use one of them'
        )
    changes = dict(changes or {})
    struct = baseline.module.Settings
    known = struct.__struct_fields__
    for key in changes:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"use one of: {', '.join(known)}"
            raise ValueError(f'setting "{key}": {baseline.name} has no such setting; {hint}')
    values = {**baseline.values, **baseline.presets[preset], **changes}
    try:
        # texts are read leniently ("7" for 7): the command line has nothing else
        return msgspec.convert(values, struct, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"settings of {baseline.name}: {error}; give a value of that type") from error
