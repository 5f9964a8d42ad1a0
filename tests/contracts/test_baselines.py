"""What every reference model must keep, whatever it is. A model that is added is held to it by its .toml."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from itertools import permutations
from pathlib import Path
from typing import Any, get_type_hints

import grimp
import msgspec
import pytest

from pcm_leukemia import baselines
from pcm_leukemia.baselines import config, contract
from pcm_leukemia.baselines.config import RENAMED, Baseline
from pcm_leukemia.errors import MissingExtra

DOCS = Path(__file__).resolve().parents[2] / "docs"
KINDS = {"detector": ("detection", "wbc"), "classifier": ("classification",)}
COMMON = {
    "model": str,
    "weights": str,
    "epochs": int,
    "patience": int,
    "batch": int,
    "image_size": int,
    "precision": str,
    "lr": float,
    "weight_decay": float,
    "flip_horizontal": float,
    "flip_vertical": float,
    "rotation": float,
    "mosaic": float,
    "no_augment_first": int,
    "no_augment_last": int,
    "final_lr_fraction": float,
    "max_detections": int,
    "nms_iou": float,
    "warmup_epochs": float,
    "warmup_steps": int,
}
"""What one quantity is called in every model, and its type."""

EVERY = ("model", "weights", "epochs", "batch", "image_size", "precision", "stain", "lr", "weight_decay")
OTHER_NAMES = {
    *RENAMED,
    *("learning_rate", "batch_size", "imgsz", "img_size", "hflip", "vflip", "fliplr", "flipud", "max_det"),
    *("iou", "close_mosaic", "wd", "num_epochs", "amp", "degrees", "pretrained"),
}
"""What models elsewhere call these; ours have one name for each."""


@pytest.fixture(params=baselines.names())
def baseline(request: pytest.FixtureRequest) -> Baseline:
    return config.find(request.param)


@pytest.fixture
def fields(baseline: Baseline) -> dict[str, Any]:
    return get_type_hints(baseline.module.Settings)


def test_the_toml_says_what_the_model_is(baseline: Baseline) -> None:
    table = tomllib.loads(baselines.settings_file(baseline.name).read_text(encoding="utf-8"))
    assert set(table) - {"code", "pretrained_on"} == {"kind", "tasks", "paper", "settings", "presets"}
    assert baseline.paper
    assert baseline.tasks
    assert set(baseline.tasks) <= set(KINDS[baseline.kind])
    assert set(table["presets"]) == {"quick", "smoke"}


def test_each_preset_gives_every_setting_a_value(baseline: Baseline, fields: dict[str, Any]) -> None:
    assert set(baseline.values) == set(fields)
    for preset in ("paper", "quick", "smoke"):
        made = config.settings(baseline, preset)
        expected = {**baseline.values, **baseline.presets[preset]}
        assert msgspec.to_builtins(made) == expected


def test_each_number_has_its_source(baseline: Baseline) -> None:
    text = baselines.settings_file(baseline.name).read_text(encoding="utf-8")
    block = text.partition("[settings]\n")[2].partition("\n[")[0]
    lines = re.findall(r"^(\w+) = ([^#\n]*)(#.*)?$", block, re.MULTILINE)
    assert {name for name, _, _ in lines} == set(baseline.values)
    bare = [name for name, value, source in lines if value.strip()[0].isdigit() and len(source) < 5]
    assert not bare


def test_the_module_is_as_the_contract_says(baseline: Baseline) -> None:
    module = baseline.module
    assert issubclass(module.Settings, msgspec.Struct)
    made = module.Settings.__struct_config__
    assert (made.frozen, made.forbid_unknown_fields) == (True, True)
    for name in ("train", "load"):
        wanted = list(inspect.signature(getattr(contract.Module, name)).parameters)[1:]
        assert list(inspect.signature(getattr(module, name)).parameters) == wanted
        assert inspect.getdoc(getattr(module, name))


def test_settings_are_described(baseline: Baseline, fields: dict[str, Any]) -> None:
    described = re.findall(r"^([a-z0-9_, ]+)$", inspect.getdoc(baseline.module.Settings) or "", re.MULTILINE)
    assert set(fields) <= {name for line in described for name in line.split(", ")}


def test_one_quantity_has_one_name(fields: dict[str, Any]) -> None:
    assert not set(fields) & OTHER_NAMES
    assert set(EVERY) <= set(fields)
    assert {name: kind for name, kind in fields.items() if name in COMMON} == {
        name: kind for name, kind in COMMON.items() if name in fields
    }


def test_what_is_no_setting_is_refused(baseline: Baseline) -> None:
    with pytest.raises(
        ValueError, match=f'setting "epoch": {baseline.name} has no such setting; did you mean epochs'
    ):
        config.settings(baseline, changes={"epoch": 3})
    with pytest.raises(ValueError, match=f"settings of {baseline.name}: .*epochs.*give a value of that type"):
        config.settings(baseline, changes={"epochs": "many"})
    with pytest.raises(
        ValueError, match="^setting stain: is blue; give one of none, hed, reinhard, macenko$"
    ):
        config.settings(baseline, changes={"stain": "blue"})
    for value in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"^setting weight_decay: is {value}; give 0 or more$"):
            config.settings(baseline, changes={"weight_decay": value})
    with pytest.raises(ValueError, match=f'preset "huge": {baseline.name} has paper, quick, smoke; use one'):
        config.settings(baseline, "huge")


def test_it_is_documented(baseline: Baseline) -> None:
    text = (DOCS / "baselines.md").read_text(encoding="utf-8")
    row = next((line for line in text.splitlines() if line.startswith(f"| `{baseline.name}` |")), None)
    assert row, f"add a row to docs/baselines.md: | `{baseline.name}` | ..."
    assert all(f"`{task}`" in row for task in baseline.tasks)


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("pcm_leukemia")


MODULES = sorted({baselines.module(name).__name__ for name in baselines.names()})
"""The code of the models, each once: settings of one code are several models."""


@pytest.mark.parametrize(("one", "other"), tuple(permutations(MODULES, 2)))
def test_no_model_imports_another(imports: grimp.ImportGraph, one: str, other: str) -> None:
    """Not through what they share, either."""
    chain = imports.find_shortest_chain(one, other, as_packages=True)
    assert chain is None


# Libraries: each model asks for its own

EXTRAS = ("torch", "torchvision", "lightning", "timm", "transformers", "ultralytics", "hotcoco", "matplotlib")


def without(libraries: tuple[str, ...], code: str) -> str:
    """What a Python without these libraries prints."""
    hidden = f"import sys\nfor name in {libraries!r}:\n    sys.modules[name] = None\n"
    run = subprocess.run([sys.executable, "-c", hidden + code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_names_of_the_models_need_no_library() -> None:
    printed = without(EXTRAS, "from pcm_leukemia import baselines\nprint(*baselines.names())")
    assert printed.split() == baselines.names()


@pytest.mark.parametrize(
    ("asked", "library"),
    [
        ("module('dinobloom')", "timm"),
        ("yolo11m", "ultralytics"),
        ("evaluate", "hotcoco"),
        ("inference", "torch"),
    ],
)
def test_a_missing_library_is_named(asked: str, library: str) -> None:
    code = "from pcm_leukemia import baselines, errors\n"
    code += f"try:\n    baselines.{asked}\nexcept errors.MissingExtra as error:\n    print(error)"
    assert without((library,), code).strip() == str(MissingExtra(library, "baselines"))


def test_coco_results_are_scored_without_the_models_libraries() -> None:
    code = """
from pcm_leukemia import NINE, Box, Cell, Dataset, Image
from pcm_leukemia.baselines.metrics import detection
cell = Cell("a.png", 0, "Monocyte", Box(50, 20, 80, 60))
ds = Dataset("demo", NINE, (Image("a.png", 200, 100),), (cell,))
row = {"image_id": 1, "category_id": NINE.ids["Monocyte"] + 1, "bbox": [50, 20, 30, 40], "score": 0.9}
print(detection.score(ds, detection.from_coco_results([row], ds)).overall.ap)
"""
    printed = without(("ultralytics", "timm", "transformers", "lightning", "torchvision", "matplotlib"), code)
    assert float(printed) == pytest.approx(1)
