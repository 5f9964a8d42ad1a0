"""DinoBloom's weights: in the published layout, beside transformers' DINOv2; and everything else in that place."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.layers.mlp import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from transformers import Dinov2Config, Dinov2Model

from pcm_leukemia.baselines.classifiers import backbones, dinobloom_weights
from pcm_leukemia.baselines.classifiers.backbones import backbone
from pcm_leukemia.errors import CorruptFile, DataNotFound

HEADS = {"dino_head.last_layer.weight_g": torch.ones(3, 1), "ibot_head.mlp.0.weight": torch.ones(3, 3)}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def reference(**changes: Any) -> Dinov2Model:
    """DINOv2's architecture as transformers has it, every weight of it random."""
    torch.manual_seed(0)
    numbers = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "image_size": 224}
    model: Dinov2Model = Dinov2Model(Dinov2Config(**{**numbers, **changes}))
    model.train(False)  # noqa: FBT003
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.2).add_(0.05)
    return model


def in_dinov2_s_names(model: Dinov2Model, chunk: int = 0) -> dict[str, torch.Tensor]:
    """Weights as Meta's own code names them; with `chunk`, in blocks of so many, as it does with FSDP."""
    theirs = dict(model.state_dict())
    names = {
        "cls_token": "embeddings.cls_token",
        "mask_token": "embeddings.mask_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    }
    weights = {ours: theirs.pop(name) for ours, name in names.items()}
    for number in range(model.config.num_hidden_layers):
        old = f"encoder.layer.{number}"
        new = f"blocks.{number // chunk}.{number}" if chunk else f"blocks.{number}"
        for kind in ("weight", "bias"):
            pieces = [theirs.pop(f"{old}.attention.{part}_proj.{kind}") for part in "qkv"]
            weights[f"{new}.attn.qkv.{kind}"] = torch.cat(pieces)
            weights[f"{new}.attn.proj.{kind}"] = theirs.pop(f"{old}.attention.o_proj.{kind}")
            for norm in ("norm1", "norm2"):
                weights[f"{new}.{norm}.{kind}"] = theirs.pop(f"{old}.{norm}.{kind}")
            if model.config.use_swiglu_ffn:
                gates = [theirs.pop(f"{old}.mlp.{part}_proj.{kind}") for part in ("gate", "up")]
                weights[f"{new}.mlp.w12.{kind}"] = torch.cat(gates)
                weights[f"{new}.mlp.w3.{kind}"] = theirs.pop(f"{old}.mlp.down_proj.{kind}")
            else:
                for layer in ("fc1", "fc2"):
                    weights[f"{new}.mlp.{layer}.{kind}"] = theirs.pop(f"{old}.mlp.{layer}.{kind}")
        for scale in "12":
            weights[f"{new}.ls{scale}.gamma"] = theirs.pop(f"{old}.layer_scale{scale}.lambda1")
    assert not theirs
    return weights


def published(weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {"teacher": {**{f"backbone.{name}": value for name, value in weights.items()}, **HEADS}}


@pytest.fixture(scope="module")
def small() -> Dinov2Model:
    return reference()


@pytest.fixture(scope="module")
def checkpoint(small: Dinov2Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DinoBloom-S as it is published, but for the numbers."""
    path = tmp_path_factory.mktemp("weights") / "DinoBloom-S.pth"
    torch.save(published(in_dinov2_s_names(small)), path)
    return path


def test_the_same_features_as_the_architecture_it_came_from(small: Dinov2Model, checkpoint: Path) -> None:
    pictures = torch.randn(2, 3, 224, 224)
    ours = backbone("small", weights=checkpoint).module.eval()
    with torch.no_grad():
        features, theirs = ours(pictures), small(pictures).last_hidden_state[:, 0]
    assert features.shape == (2, 384)
    assert features.std() > 0.1
    torch.testing.assert_close(features, theirs, rtol=1e-4, atol=1e-4)


def test_blocks_in_chunks_are_the_same_blocks(small: Dinov2Model, checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "chunked.pth"
    torch.save(published(in_dinov2_s_names(small, chunk=4)), path)
    whole, chunked = (backbone("small", file).module.state_dict() for file in (checkpoint, path))
    assert all(torch.equal(value, chunked[name]) for name, value in whole.items())


def test_the_giant_s_gated_layers(tmp_path: Path) -> None:
    # the giant has 1.1 billion weights; two of its kind of blocks will do
    size = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    theirs = reference(**size, use_swiglu_ffn=True)
    path = tmp_path / "giant.pth"
    torch.save(published(in_dinov2_s_names(theirs)), path)
    ours = VisionTransformer(
        img_size=224,
        patch_size=14,
        embed_dim=48,
        depth=2,
        num_heads=2,
        num_classes=0,
        init_values=1e-5,
        mlp_ratio=2.66667 * 2,
        mlp_layer=SwiGLUPacked,  # type: ignore[arg-type]
        act_layer=torch.nn.SiLU,
    ).eval()
    backbones.fill(ours, path, published=True)
    pictures = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(pictures), theirs(pictures).last_hidden_state[:, 0], rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize(("size", "width"), list(dinobloom_weights.SIZES.items()))
def test_the_sizes_are_timm_s(size: str, width: int) -> None:
    with torch.device("meta"):
        assert timm.create_model(f"vit_{size}_patch14_dinov2", img_size=224).num_features == width


def test_another_image_size_interpolates_the_positions(checkpoint: Path) -> None:
    ours = backbone("small", checkpoint, image_size=112).module.eval()
    assert ours.pos_embed.shape == (1, 65, 384)
    assert ours(torch.zeros(1, 3, 112, 112)).shape == (1, 384)


def test_the_checksum(checkpoint: Path) -> None:
    right = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    backbone("small", checkpoint, sha256=right.upper())
    with pytest.raises(
        CorruptFile, match=f"DinoBloom-S.pth: its SHA-256 is {right}, not abc; download it again, or correct"
    ):
        backbone("small", checkpoint, sha256="abc")


def test_another_size(checkpoint: Path) -> None:
    with pytest.raises(
        CorruptFile,
        match=r"has 384 features \(DinoBloom: small\), but the model has 768 \(base\); set model to the size",
    ):
        backbone("base", checkpoint)


def wrong(weights: dict[str, torch.Tensor]) -> dict[str, tuple[Any, str]]:
    """What else may lie there: the content and what is said of it."""
    with_registers = {**weights, "register_tokens": torch.zeros(1, 4, 384)}
    lacking = {name: value for name, value in weights.items() if name != "blocks.11.ls2.gamma"}
    misshapen = {**weights, "norm.bias": torch.zeros(5)}
    deeper = {**weights, "blocks.12.ls1.gamma": torch.zeros(384)}
    at_518 = {**weights, "pos_embed": torch.zeros(1, 1370, 384)}
    return {
        "plain": (
            weights,
            r'holds the bare weights of a transformer, and has no "teacher" \(its first entries: cls_token',
        ),
        "student": ({"student": {}, "epoch": 3}, 'is not a training state, and has no "teacher"'),
        "empty": ({}, r"has no \"teacher\" \(its first entries: nothing\); give one of DinoBloom-S.pth"),
        "not below backbone": ({"teacher": weights}, 'has "cls_token" under "teacher"'),
        "heads alone": ({"teacher": HEADS}, 'has no name with the prefix "backbone." under "teacher"'),
        "518 px": (
            published(at_518),
            "position embedding has 1,370 tokens, for 518 px, but DinoBloom's has 257, for",
        ),
        "no position": (
            published({name: value for name, value in weights.items() if name != "pos_embed"}),
            "has no pos_embed with three axes",
        ),
        "registers": (
            published(with_registers),
            "has register tokens, which DinoBloom does not have; give one of",
        ),
        "lacking": (
            published(lacking),
            "does not fit the model: it lacks blocks.11.ls2.gamma; give the weights",
        ),
        "deeper": (published(deeper), "the model has no blocks.12.ls1.gamma"),
        "misshapen": (published(misshapen), r"has norm.bias \(5,\) where \(384,\) belongs"),
        "a list": ([1, 2], "holds a list, not a table of weights"),
    }


@pytest.fixture(scope="module")
def wrong_files(small: Dinov2Model) -> dict[str, tuple[Any, str]]:
    return wrong(in_dinov2_s_names(small))


@pytest.mark.parametrize("case", list(wrong({"cls_token": torch.zeros(1, 1, 384)})))
def test_anything_else_is_refused(wrong_files: dict[str, tuple[Any, str]], case: str, tmp_path: Path) -> None:
    content, sentence = wrong_files[case]
    path = tmp_path / "DinoBloom-S.pth"
    torch.save(content, path)
    with pytest.raises(CorruptFile, match=f"^{path}: .*{sentence}"):
        backbone("small", path)


class Evil:
    """Unpickled, it would run a command."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value]


def test_a_file_that_would_run_code_is_refused_and_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "DinoBloom-S.pth"
    torch.save({"teacher": Evil()}, path)
    with pytest.raises(
        CorruptFile, match="cannot be read as a file of weights alone .*do not use a file that needs to"
    ):
        backbone("small", path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CorruptFile, match="cannot be read as a file of weights alone"):
        backbone("small", path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off"])
def test_a_broken_download(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "DinoBloom-S.pth"
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match="cannot be read as a file of weights alone .*; download it again"):
        backbone("small", path)


def test_what_is_not_there() -> None:
    with pytest.raises(
        DataNotFound, match="/nowhere/DinoBloom-B.pth: no such file of weights; give the path"
    ):
        backbone("base", "/nowhere/DinoBloom-B.pth")


def test_settings_that_cannot_be() -> None:
    with pytest.raises(
        ValueError, match='model "dinobloom_tiny": timm has no image model of that name; timm.list_models'
    ):
        backbone("dinobloom_tiny")
    with pytest.raises(
        ValueError, match="image_size 100: small has patches of 14 px; give a multiple of 14, such as 224"
    ):
        backbone("small", "none", image_size=100)
    with pytest.raises(
        ValueError, match="model giant: is not on the hub; download DinoBloom-G.pth from https://zenodo"
    ):
        backbone("giant", "hub")


def test_without_a_network_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        DataNotFound,
        match='weights "1aurent/vit_small_patch14_224.dinobloom": cannot be downloaded from the Hugging Face hub '
        ".*download them where there is a network and give the path of the file, or none",
    ):
        backbone("small", "hub")
