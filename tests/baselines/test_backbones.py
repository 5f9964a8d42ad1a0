"""Backbones: every image model of timm, by name, hub, folder or file, with its own normalisation and size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from dots import EIGHT, draw, job
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf

from pcm_leukemia.baselines import config, weight_files
from pcm_leukemia.baselines.classifiers import timm as classifiers
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.baselines.classifiers.crops import Prepare
from pcm_leukemia.baselines.classifiers.network import FILE, CellClassifier, save, starting_network
from pcm_leukemia.errors import CorruptFile, DataNotFound

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


# ----------------------------------------------------------------------------------------------
# Names


@pytest.mark.parametrize(
    ("model", "asked", "size", "width", "colours"),
    [
        ("resnet18.a1_in1k", 64, 64, 512, IMAGENET),
        ("tf_efficientnet_lite0", 0, 224, 1280, HALF),
        ("convnext_atto.d2_in1k", 0, 224, 320, IMAGENET),
        ("vit_small_patch16_dinov3", 64, 64, 384, IMAGENET),
        ("vit_small_patch16_dinov3", 0, 256, 384, IMAGENET),
        ("swin_tiny_patch4_window7_224", 256, 256, 768, IMAGENET),
        ("mobilenetv3_small_050", 96, 96, 1024, IMAGENET),  # its num_features are 288
        ("xcit_nano_12_p16_224", 96, 96, 128, IMAGENET),  # its patches overlap
    ],
)
def test_any_model_has_its_own_width_size_and_colours(
    model: str, asked: int, size: int, width: int, colours: tuple[tuple[float, ...], ...]
) -> None:
    made = backbone(model, "none", image_size=asked)
    assert (made.image_size, made.width) == (size, width)
    assert (made.mean, made.deviation) == colours
    assert made.module.training
    with torch.no_grad():
        features = made.module.eval()(torch.randn(2, 3, size, size))
    assert features.shape == (2, width)
    assert features.std() > 0


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("resnext18", 'model "resnext18": timm has no image model of that name; did you mean resnet18\\?$'),
        (
            "vit_small_patch14_dinov3",
            "timm has no image model of that name; did you mean vit_small_patch16_dinov3",
        ),
        ("nothing of the kind", r"timm has no image model of that name; timm.list_models\(\) lists them$"),
        (
            "resnet18.a9_in1k",
            'model "resnet18.a9_in1k": timm has no weights of that name; did you mean resnet18.a3_in1k\\?$',
        ),
    ],
)
def test_a_name_that_timm_does_not_have(model: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        backbone(model, "none")


@pytest.mark.parametrize(
    ("model", "size", "sentence"),
    [
        (
            "test_vit",
            100,
            "image_size 100: test_vit has patches of 16 px; give a multiple of 16, such as 256$",
        ),
        ("test_vit", 8, "image_size 8: test_vit has patches of 16 px"),
        (
            "test_convnext",
            16,
            "image_size 16: test_convnext makes pictures 32 times smaller; give 32 or more$",
        ),
        (
            "gmixer_12_224",
            96,
            r"image_size 96: gmixer_12_224 cannot take it \(Input height .*\); give its own, 224$",
        ),
    ],
)
def test_an_image_size_that_does_not_suit(model: str, size: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        backbone(model, "none", image_size=size)


@pytest.mark.parametrize("model", ["resnet18", "timm/test_vit.r160_in1k", "hf-hub:timm/test_vit.r160_in1k"])
def test_without_a_network_it_says_what_to_do(
    model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    name = model.removeprefix("hf-hub:")
    with pytest.raises(
        DataNotFound,
        match=f'weights "{name}": cannot be downloaded from the Hugging Face hub .*give the path of the file',
    ):
        backbone(model)
    with pytest.raises(DataNotFound, match='weights "timm/resnet10t.c3_in1k": cannot be downloaded'):
        backbone("resnet10t", "timm/resnet10t.c3_in1k")


# ----------------------------------------------------------------------------------------------
# Folders in the layout of the hub

COLOURS = {"mean": (0.7, 0.6, 0.8), "std": (0.11, 0.12, 0.13), "input_size": (3, 64, 64)}
CHANNELS = (8, 8, 16, 24)
"""The argument that makes test_convnext a narrow model."""


def in_the_hub_s_layout(folder: Path) -> Path:
    """test_convnext with arguments and colours of its own, as timm pushes a model to the hub."""
    torch.manual_seed(3)
    model = timm.create_model("test_convnext", num_classes=5, dims=CHANNELS, pretrained_cfg_overlay=COLOURS)
    save_for_hf(model, str(folder), model_args={"dims": CHANNELS}, safe_serialization=True)
    return folder


def test_a_folder_is_the_model_that_it_describes(tmp_path: Path) -> None:
    folder = in_the_hub_s_layout(tmp_path / "model")
    made = backbone(str(folder))
    assert (made.mean, made.deviation, made.image_size) == (COLOURS["mean"], COLOURS["std"], 64)
    assert made.width == 24
    theirs = load_file(folder / "model.safetensors")
    ours = made.module.state_dict()
    assert {name for name in theirs if not name.startswith("head.fc.")} == set(ours)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    # without its weights, its description is still used
    random = backbone(str(folder), "none")
    assert (random.width, random.mean) == (24, COLOURS["mean"])
    assert not torch.equal(random.module.state_dict()["stem.0.weight"], theirs["stem.0.weight"])
    # and as the weights of a model that has its name
    with pytest.raises(CorruptFile, match='weights ".*": are for test_convnext, not resnet18; set model to'):
        backbone("resnet18", folder)


@pytest.mark.trains
def test_a_run_from_a_folder_outlives_the_folder(tmp_path: Path) -> None:
    folder = in_the_hub_s_layout(tmp_path / "model")
    settings = config.settings(
        config.find("timm"), "smoke", {"model": str(folder), "weights": "hub", "image_size": 32, "epochs": 1}
    )
    classifiers.train(job(draw(tmp_path), tmp_path / "run"), settings)
    shutil.rmtree(folder)
    classifier = classifiers.load(tmp_path / "run", settings, EIGHT, "cpu")
    assert isinstance(classifier, CellClassifier)
    network = classifier.network
    assert network.image_size == 32
    assert network.mean.flatten().tolist() == pytest.approx(COLOURS["mean"])
    assert network.deviation.flatten().tolist() == pytest.approx(COLOURS["std"])
    assert network.head.in_features == 24
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    plain = timm.create_model("test_convnext", dims=CHANNELS, num_classes=0).eval()
    plain.load_state_dict(network.backbone.state_dict())
    normal = (pixels / 255 - torch.tensor(COLOURS["mean"]).view(3, 1, 1)) / torch.tensor(COLOURS["std"]).view(
        3, 1, 1
    )
    with torch.no_grad():
        torch.testing.assert_close(network.features(pixels), plain(normal), rtol=1e-4, atol=1e-5)
    # another run may start from it
    again = starting_network(EIGHT, str(folder), str(tmp_path / "run" / FILE), image_size=32)
    assert torch.equal(again.head.weight, network.head.weight)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not the description of a timm model"),
        ("[]", "is not the description of a timm model"),
        (json.dumps({"model_type": "bert"}), r"is not the description of a timm model \('architecture'\)"),
        (json.dumps({"architecture": "bert"}), 'timm has no image model "bert"; give the folder of one of'),
    ],
)
def test_a_folder_that_describes_no_model(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(CorruptFile, match=f"config.json: {sentence}"):
        backbone(str(tmp_path))


def test_a_folder_without_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = in_the_hub_s_layout(Path("my/model"))  # which might be a name on the hub
    assert backbone("my/model").width == 24
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(
        CorruptFile, match=r"^my/model: its weights cannot be used \(.+\); download the folder"
    ):
        backbone("my/model")
    (folder / "config.json").unlink()
    with pytest.raises(DataNotFound, match="my/model/config.json: no such file; give a folder that has"):
        backbone("my/model")


def test_a_model_with_features_that_are_no_row(tmp_path: Path) -> None:
    folder = in_the_hub_s_layout(tmp_path / "model")
    description = json.loads((folder / "config.json").read_text())
    description["model_args"]["global_pool"] = ""
    (folder / "config.json").write_text(json.dumps(description))
    with pytest.raises(
        ValueError,
        match=r"gives features of shape \(24, 2, 2\) for a picture, not one row; use a model that pools them$",
    ):
        backbone(str(folder))


# ----------------------------------------------------------------------------------------------
# Files


@pytest.mark.parametrize("model", ["test_efficientnet", "test_convnext", "test_vit", "efficientvit_m0"])
@pytest.mark.parametrize("classes", [0, 7])
@pytest.mark.parametrize("wrapped", ["", "state_dict", "model", "safetensors"])
def test_a_file_of_weights(model: str, classes: int, wrapped: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    state = timm.create_model(model, num_classes=classes).state_dict()
    if wrapped == "safetensors":
        path = tmp_path / "weights.safetensors"
        save_file(state, path)
    else:
        path = tmp_path / "weights.pth"
        torch.save({wrapped: state, "epoch": 3} if wrapped else state, path)
    kept = backbone(model, path).module.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in kept.items())


def test_torchvision_s_names(tmp_path: Path) -> None:
    torch.manual_seed(5)
    theirs = torchvision.models.resnet50().eval()
    torch.save(theirs.state_dict(), tmp_path / "resnet50.pth")
    ours = backbone("resnet50", tmp_path / "resnet50.pth", image_size=64).module.eval()
    theirs.fc = torch.nn.Identity()
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(pictures), theirs(pictures), rtol=1e-4, atol=1e-5)


def test_a_transformer_s_positions_are_interpolated(tmp_path: Path) -> None:
    state = timm.create_model("test_vit", img_size=224).state_dict()
    torch.save(state, tmp_path / "vit.pth")
    made = backbone("test_vit", tmp_path / "vit.pth", image_size=64)
    assert made.module.state_dict()["pos_embed"].shape[1] == 1 + 4 * 4
    assert made.image_size == 64


def test_a_file_of_another_model(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_convnext").state_dict(), tmp_path / "other.pth")
    for model in ("test_efficientnet", "resnet18", "test_vit", "swin_tiny_patch4_window7_224"):
        with pytest.raises(
            CorruptFile, match="other.pth: does not fit the model.*; give the weights of this"
        ):
            backbone(model, tmp_path / "other.pth")


def test_a_file_whose_names_timm_cannot_convert(tmp_path: Path) -> None:
    """timm's ConvNeXt looks for names of other publishers, and stops at the first that is missing."""
    torch.save({"norm.weight": torch.ones(3), "norm.bias": torch.ones(3)}, tmp_path / "lite0.pth")
    with pytest.raises(CorruptFile) as caught:
        backbone("test_convnext", tmp_path / "lite0.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'lite0.pth'}: does not fit the model: it lacks ")
    assert "('" not in str(caught.value)


# ----------------------------------------------------------------------------------------------
# Classifiers on disk


def test_a_classifier_of_the_version_before_has_its_model_s_name_alone(tmp_path: Path) -> None:
    network = starting_network(EIGHT, "small", "none", image_size=56).eval()
    save(network, tmp_path, EIGHT, "small", Prepare(56), 50)
    with safe_open(tmp_path / FILE, "pt") as content:
        about = json.loads(content.metadata()["about"])
    assert about.pop("architecture")["name"] == "vit_small_patch14_dinov2"
    state = load_file(tmp_path / FILE)
    save_file(state, tmp_path / FILE, {"about": json.dumps(about)})
    settings = config.settings(config.find("dinobloom"), "smoke")
    classifier = classifiers.load(tmp_path, settings, EIGHT, "cpu")
    pixels = torch.randint(0, 256, (2, 3, 56, 56), dtype=torch.uint8)
    with torch.no_grad():
        expected = network(pixels).softmax(1)
    torch.testing.assert_close(classifier.probabilities(pixels), expected)
    # and the weights are a start, under either of its names
    for name in ("small", "dinobloom_small"):
        begun = starting_network(EIGHT, name, str(tmp_path / FILE))
        assert all(torch.equal(value, state[key]) for key, value in begun.state_dict().items())


def test_what_is_and_is_not_on_the_hub() -> None:
    assert weight_files.is_hub_name("timm/vit_small_patch16_dinov3.lvd1689m")
    assert not weight_files.is_hub_name("vit_small_patch16_dinov3.lvd1689m")


def test_random_positions_are_drawn_at_the_size_of_the_pictures() -> None:
    torch.manual_seed(0)
    drawn = backbone("dinobloom_small", "none", image_size=28).module.state_dict()["pos_embed"]
    torch.manual_seed(0)
    own = timm.create_model("vit_small_patch14_dinov2", img_size=28, num_classes=0, init_values=1.0)
    assert torch.equal(drawn, own.state_dict()["pos_embed"])
