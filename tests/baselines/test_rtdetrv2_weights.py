"""Where RT-DETRv2's weights come from: the authors' checkpoints, folders, the hub, none."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec import structs
from torch import nn
from transformers import RTDetrV2ForObjectDetection

from pcm_leukemia.baselines import config
from pcm_leukemia.baselines.rtdetrv2_deim import Settings
from pcm_leukemia.baselines.rtdetrv2_deim import model as models
from pcm_leukemia.baselines.rtdetrv2_deim import weights as origins
from pcm_leukemia.baselines.rtdetrv2_deim.checkpoints import read, translated
from pcm_leukemia.baselines.rtdetrv2_deim.weights import starting_model
from pcm_leukemia.errors import CorruptFile, DataNotFound

LABELS = ("WBC", "Other")


def settings(**changes: Any) -> Settings:
    made: Settings = config.settings(config.find("rtdetrv2_deim"), "smoke", changes)
    return made


# Names and shapes, read off the authors' code at github.com/lyuwenyu/RT-DETR, commits 751ea60 (presnet.py),
# 31e55a4 (hybrid_encoder.py), 366ce51 (rtdetrv2_decoder.py), and configs/rtdetrv2/include/rtdetrv2_r50vd.yml.
R50 = {
    "backbone.conv1.conv1_1.conv.weight": (32, 3, 3, 3),
    "backbone.conv1.conv1_1.norm.running_var": (32,),
    "backbone.conv1.conv1_2.conv.weight": (32, 32, 3, 3),
    "backbone.conv1.conv1_3.conv.weight": (64, 32, 3, 3),
    "backbone.conv1.conv1_3.norm.bias": (64,),
    "backbone.res_layers.0.blocks.0.branch2a.conv.weight": (64, 64, 1, 1),
    "backbone.res_layers.0.blocks.0.branch2b.conv.weight": (64, 64, 3, 3),
    "backbone.res_layers.0.blocks.0.branch2c.conv.weight": (256, 64, 1, 1),
    "backbone.res_layers.0.blocks.0.short.conv.weight": (256, 64, 1, 1),
    "backbone.res_layers.0.blocks.0.short.norm.weight": (256,),
    "backbone.res_layers.0.blocks.2.branch2c.norm.running_mean": (256,),
    "backbone.res_layers.1.blocks.0.short.conv.conv.weight": (512, 256, 1, 1),
    "backbone.res_layers.1.blocks.0.short.conv.norm.weight": (512,),
    "backbone.res_layers.2.blocks.5.branch2b.conv.weight": (256, 256, 3, 3),
    "backbone.res_layers.3.blocks.2.branch2c.conv.weight": (2048, 512, 1, 1),
    "encoder.input_proj.0.conv.weight": (256, 512, 1, 1),
    "encoder.input_proj.2.norm.running_mean": (256,),
    "encoder.encoder.0.layers.0.self_attn.in_proj_weight": (768, 256),
    "encoder.encoder.0.layers.0.self_attn.in_proj_bias": (768,),
    "encoder.encoder.0.layers.0.self_attn.out_proj.weight": (256, 256),
    "encoder.encoder.0.layers.0.linear1.weight": (1024, 256),
    "encoder.encoder.0.layers.0.norm2.weight": (256,),
    "encoder.lateral_convs.1.conv.weight": (256, 256, 1, 1),
    "encoder.fpn_blocks.0.conv1.conv.weight": (256, 512, 1, 1),
    "encoder.fpn_blocks.1.bottlenecks.2.conv2.norm.weight": (256,),
    "encoder.downsample_convs.0.conv.weight": (256, 256, 3, 3),
    "encoder.pan_blocks.1.conv2.conv.weight": (256, 512, 1, 1),
    "decoder.input_proj.0.conv.weight": (256, 256, 1, 1),
    "decoder.input_proj.2.norm.bias": (256,),
    "decoder.decoder.layers.0.self_attn.in_proj_weight": (768, 256),
    "decoder.decoder.layers.5.self_attn.out_proj.bias": (256,),
    "decoder.decoder.layers.0.cross_attn.num_points_scale": (12,),
    "decoder.decoder.layers.0.cross_attn.sampling_offsets.weight": (192, 256),
    "decoder.decoder.layers.0.cross_attn.attention_weights.bias": (96,),
    "decoder.decoder.layers.0.cross_attn.value_proj.weight": (256, 256),
    "decoder.decoder.layers.5.linear2.weight": (256, 1024),
    "decoder.decoder.layers.5.norm3.bias": (256,),
    "decoder.denoising_class_embed.weight": (81, 256),
    "decoder.query_pos_head.layers.0.weight": (512, 4),
    "decoder.query_pos_head.layers.1.weight": (256, 512),
    "decoder.enc_output.proj.weight": (256, 256),
    "decoder.enc_output.norm.bias": (256,),
    "decoder.enc_score_head.weight": (80, 256),
    "decoder.enc_bbox_head.layers.2.weight": (4, 256),
    "decoder.dec_score_head.5.weight": (80, 256),
    "decoder.dec_bbox_head.5.layers.2.bias": (4,),
    "decoder.anchors": (1, 8400, 4),
    "decoder.valid_mask": (1, 8400, 1),
}
# what configs/rtdetrv2/rtdetrv2_r18vd_120e_coco.yml changes
R18 = {
    "backbone.res_layers.0.blocks.0.short.conv.weight": (64, 64, 1, 1),
    "backbone.res_layers.0.blocks.1.branch2b.conv.weight": (64, 64, 3, 3),
    "backbone.res_layers.3.blocks.0.short.conv.conv.weight": (512, 256, 1, 1),
    "backbone.res_layers.3.blocks.1.branch2a.conv.weight": (512, 512, 3, 3),
    "encoder.input_proj.0.conv.weight": (256, 128, 1, 1),
    "encoder.fpn_blocks.0.conv1.conv.weight": (128, 512, 1, 1),
    "encoder.fpn_blocks.0.conv3.conv.weight": (256, 128, 1, 1),
    "encoder.pan_blocks.1.bottlenecks.0.conv1.conv.weight": (128, 128, 3, 3),
    "decoder.dec_score_head.2.bias": (80,),
}
# what DEIM's query_pos_method: as_reg makes of it
DEIM = {
    "decoder.query_pos_head.layers.0.weight": (256, 4),
    "decoder.query_pos_head.layers.1.weight": (256, 256),
    "decoder.query_pos_head.layers.2.weight": (256, 256),
}


class _Layout:
    """The names and shapes of the authors' modules, written down as their constructors nest them."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}

    def norm(self, name: str, width: int, *, batch: bool = True, counts: bool = True) -> None:
        for part in ("weight", "bias", *(("running_mean", "running_var") if batch else ())):
            self.shapes[f"{name}.{part}"] = (width,)
        if batch and counts:
            self.shapes[f"{name}.num_batches_tracked"] = ()

    def conv(self, name: str, inputs: int, outputs: int, kernel: int, *, counts: bool = True) -> None:
        self.shapes[f"{name}.conv.weight"] = (outputs, inputs, kernel, kernel)
        self.norm(f"{name}.norm", outputs, counts=counts)

    def linear(self, name: str, inputs: int, outputs: int) -> None:
        self.shapes |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}

    def perceptron(self, name: str, *widths: int) -> None:
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            self.linear(f"{name}.layers.{number}", inputs, outputs)

    def attention(self, name: str, width: int) -> None:
        self.shapes |= {f"{name}.in_proj_weight": (3 * width, width), f"{name}.in_proj_bias": (3 * width,)}
        self.linear(f"{name}.out_proj", width, width)

    def csp(self, name: str, width: int, hidden: int) -> None:
        self.conv(f"{name}.conv1", 2 * width, hidden, 1)
        self.conv(f"{name}.conv2", 2 * width, hidden, 1)
        for block in range(3):
            self.conv(f"{name}.bottlenecks.{block}.conv1", hidden, hidden, 3)
            self.conv(f"{name}.bottlenecks.{block}.conv2", hidden, hidden, 1)
        if hidden != width:
            self.conv(f"{name}.conv3", hidden, width, 1)


def layout(depth: int, classes: int = 80, *, deim: bool = False) -> dict[str, tuple[int, ...]]:
    """Every weight of the authors' R18vd or R50vd; R50vd's batch norms are frozen, and do not count."""
    made = _Layout()
    counts = depth == 18 or deim
    for number, (inputs, outputs) in enumerate([(3, 32), (32, 32), (32, 64)], 1):
        made.conv(f"backbone.conv1.conv1_{number}", inputs, outputs, 3, counts=counts)
    inputs, expansion = 64, 4 if depth == 50 else 1
    for stage, (width, blocks) in enumerate(
        zip((64, 128, 256, 512), (3, 4, 6, 3) if depth == 50 else (2, 2, 2, 2), strict=True)
    ):
        for block in range(blocks):
            stem = f"backbone.res_layers.{stage}.blocks.{block}"
            kernels = (1, 3, 1) if depth == 50 else (3, 3)
            widths = [inputs, *[width] * (len(kernels) - 1), width * expansion]
            for letter, kernel, a, b in zip("abc", kernels, widths, widths[1:], strict=False):
                made.conv(f"{stem}.branch2{letter}", a, b, kernel, counts=counts)
            if block == 0:
                # pooled before, in a Sequential, where the stage halves the sides
                short = f"{stem}.short" if stage == 0 else f"{stem}.short.conv"
                made.conv(short, inputs, width * expansion, 1, counts=counts)
            inputs = width * expansion
    for level in range(3):
        made.conv(f"encoder.input_proj.{level}", (128, 256, 512)[level] * expansion, 256, 1)
    made.attention("encoder.encoder.0.layers.0.self_attn", 256)
    made.linear("encoder.encoder.0.layers.0.linear1", 256, 1024)
    made.linear("encoder.encoder.0.layers.0.linear2", 1024, 256)
    for norm in ("norm1", "norm2"):
        made.norm(f"encoder.encoder.0.layers.0.{norm}", 256, batch=False)
    for level in range(2):
        made.conv(f"encoder.lateral_convs.{level}", 256, 256, 1)
        made.csp(f"encoder.fpn_blocks.{level}", 256, 256 if depth == 50 else 128)
        made.conv(f"encoder.downsample_convs.{level}", 256, 256, 3)
        made.csp(f"encoder.pan_blocks.{level}", 256, 256 if depth == 50 else 128)
    for level in range(3):
        made.conv(f"decoder.input_proj.{level}", 256, 256, 1)
    for layer in range(6 if depth == 50 else 3):
        stem = f"decoder.decoder.layers.{layer}"
        made.attention(f"{stem}.self_attn", 256)
        made.shapes[f"{stem}.cross_attn.num_points_scale"] = (12,)
        for name, width in (
            ("sampling_offsets", 192),
            ("attention_weights", 96),
            ("value_proj", 256),
            ("output_proj", 256),
        ):
            made.linear(f"{stem}.cross_attn.{name}", 256, width)
        made.linear(f"{stem}.linear1", 256, 1024)
        made.linear(f"{stem}.linear2", 1024, 256)
        for norm in ("norm1", "norm2", "norm3"):
            made.norm(f"{stem}.{norm}", 256, batch=False)
        made.linear(f"decoder.dec_score_head.{layer}", 256, classes)
        made.perceptron(f"decoder.dec_bbox_head.{layer}", 256, 256, 256, 4)
    made.shapes["decoder.denoising_class_embed.weight"] = (classes + 1, 256)
    made.perceptron("decoder.query_pos_head", *((4, 256, 256, 256) if deim else (4, 512, 256)))
    made.linear("decoder.enc_output.proj", 256, 256)
    made.norm("decoder.enc_output.norm", 256, batch=False)
    made.linear("decoder.enc_score_head", 256, classes)
    made.perceptron("decoder.enc_bbox_head", 256, 256, 256, 4)
    made.shapes |= {"decoder.anchors": (1, 8400, 4), "decoder.valid_mask": (1, 8400, 1)}
    return made.shapes


def random_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.rand(shape, generator=generator) if shape else torch.tensor(7)
        for name, shape in shapes.items()
    }


def backbone_of(depth: int) -> dict[str, torch.Tensor]:
    """A checkpoint of the backbone alone, as the authors publish it: without the batch norms' counters."""
    return {
        name.removeprefix("backbone."): value
        for name, value in random_weights(layout(depth)).items()
        if name.startswith("backbone.") and not name.endswith("num_batches_tracked")
    }


def test_the_layout_is_the_authors() -> None:
    for shapes, pinned in (
        (layout(50), R50),
        (layout(18), R18),
        (layout(50, deim=True), {**R50, **DEIM}),
    ):
        assert {name: shapes.get(name) for name in pinned} == pinned


@pytest.mark.parametrize(("depth", "deim"), [(18, False), (50, True)])
def test_every_weight_of_a_checkpoint_finds_its_place(tmp_path: Path, depth: int, deim: bool) -> None:  # noqa: FBT001
    shapes = layout(depth, deim=deim)
    weights = random_weights(shapes)
    torch.save({"ema": {"module": weights, "updates": 3}, "model": {}}, tmp_path / "a.pth")
    start = starting_model(settings(weights=str(tmp_path / "a.pth")), LABELS)
    state = start.model.state_dict()
    assert start.origin == f"{tmp_path / 'a.pth'}, except its heads for 80 other classes"
    assert getattr(start.model.config, models.HEADS) == ("deim" if deim else "rtdetr")
    # as many numbers as there were: nothing is lost, nothing is there twice
    heads = re.compile(r"class_embed|score_head|denoising_class_embed")
    mine = [value for name, value in start.model.named_parameters() if not heads.search(name)]
    buffers = re.compile(r"running|tracked|num_points|anchors|valid_mask")
    theirs = [
        value
        for name, value in weights.items()
        if not heads.search(name.replace("dec_score_head", "class_embed")) and not buffers.search(name)
    ]
    assert sum(value.numel() for value in mine) == sum(value.numel() for value in theirs)
    # the values of those that have equal shapes, which could change places unnoticed: pairs by hand
    last = {18: 2, 50: 5}[depth]
    pairs = {
        "backbone.conv1.conv1_2.conv.weight": "model.backbone.model.embedder.embedder.1.convolution.weight",
        "backbone.res_layers.2.blocks.1.branch2a.norm.bias": "model.backbone.model.encoder.stages.2.layers.1.layer.0.normalization.bias",
        "backbone.res_layers.2.blocks.1.branch2b.norm.bias": "model.backbone.model.encoder.stages.2.layers.1.layer.1.normalization.bias",
        "backbone.res_layers.0.blocks.0.short.norm.running_mean": "model.backbone.model.encoder.stages.0.layers.0.shortcut.normalization.running_mean",
        "backbone.res_layers.1.blocks.0.short.conv.norm.running_var": "model.backbone.model.encoder.stages.1.layers.0.shortcut.1.normalization.running_var",
        "encoder.input_proj.1.norm.weight": "model.encoder_input_proj.1.1.weight",
        "encoder.encoder.0.layers.0.norm1.weight": "model.encoder.aifi.0.layers.0.self_attn_layer_norm.weight",
        "encoder.encoder.0.layers.0.norm2.weight": "model.encoder.aifi.0.layers.0.final_layer_norm.weight",
        "encoder.encoder.0.layers.0.linear2.bias": "model.encoder.aifi.0.layers.0.mlp.fc2.bias",
        "encoder.fpn_blocks.0.conv2.conv.weight": "model.encoder.fpn_blocks.0.conv2.conv.weight",
        "encoder.pan_blocks.1.bottlenecks.2.conv1.norm.running_var": "model.encoder.pan_blocks.1.bottlenecks.2.conv1.norm.running_var",
        "decoder.input_proj.2.conv.weight": "model.decoder_input_proj.2.0.weight",
        f"decoder.decoder.layers.{last}.norm1.weight": f"model.decoder.layers.{last}.self_attn_layer_norm.weight",
        f"decoder.decoder.layers.{last}.norm2.weight": f"model.decoder.layers.{last}.encoder_attn_layer_norm.weight",
        f"decoder.decoder.layers.{last}.norm3.weight": f"model.decoder.layers.{last}.final_layer_norm.weight",
        "decoder.decoder.layers.1.cross_attn.value_proj.weight": "model.decoder.layers.1.encoder_attn.value_proj.weight",
        "decoder.decoder.layers.1.cross_attn.output_proj.weight": "model.decoder.layers.1.encoder_attn.output_proj.weight",
        "decoder.enc_output.proj.bias": "model.enc_output.0.bias",
        "decoder.enc_output.norm.bias": "model.enc_output.1.bias",
        "decoder.enc_bbox_head.layers.1.weight": "model.enc_bbox_head.layers.1.weight",
        "decoder.dec_bbox_head.1.layers.0.weight": "bbox_embed.1.layers.0.weight",
        f"decoder.dec_bbox_head.{last}.layers.1.weight": f"model.decoder.bbox_embed.{last}.layers.1.weight",
        "decoder.query_pos_head.layers.1.bias": "model.decoder.query_pos_head.layers.1.bias",
    }
    for official, ours in pairs.items():
        assert torch.equal(weights[official], state[ours]), official
    # new heads: as the authors begin, with a score of 0.01
    assert state["class_embed.0.bias"].sigmoid().tolist() == pytest.approx([0.01, 0.01])
    assert state["model.denoising_class_embed.weight"].shape == (3, 256)


def test_the_joint_matrix_of_an_attention_is_parted_in_its_order() -> None:
    theirs = nn.MultiheadAttention(256, 8, batch_first=True)
    for value in theirs.parameters():
        nn.init.normal_(value, std=0.1)
    stem = "decoder.decoder.layers.0.self_attn."
    ours = translated({stem + name: value.detach() for name, value in theirs.named_parameters()})
    model = models.build(models.configuration("r18vd", LABELS))
    attention = model.model.decoder.layers[0].self_attn
    prefix = "model.decoder.layers.0.self_attn."
    attention.load_state_dict({name.removeprefix(prefix): value for name, value in ours.items()})
    queries, places = torch.randn(2, 5, 256), torch.randn(2, 5, 256)
    expected = theirs(queries + places, queries + places, queries, need_weights=False)[0]
    got = attention(queries, position_embeddings=places)[0]
    assert torch.allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("wrap", ["ema", "model", "bare", "module"])
def test_the_places_that_weights_are_found_in(tmp_path: Path, wrap: str) -> None:
    weights = random_weights(layout(18, classes=2))
    contents: dict[str, Any] = {
        "ema": {"ema": {"module": weights}, "model": {"strange": torch.zeros(1)}},
        "model": {"model": weights, "optimizer": {"state": {}}, "last_epoch": 3},
        "bare": weights,
        "module": {"model": {f"module.{name}": value for name, value in weights.items()}},
    }
    torch.save(contents[wrap], tmp_path / "a.pth")
    start = starting_model(settings(weights=str(tmp_path / "a.pth")), LABELS)
    # it names no classes: as many are taken for the same
    assert start.origin.endswith(", with its heads for classes")
    assert torch.equal(
        start.model.state_dict()["class_embed.2.weight"], weights["decoder.dec_score_head.2.weight"]
    )
    assert start.model.config.decoder_layers == 3
    assert start.model.config.hidden_expansion == 0.5


def test_a_backbone_alone_begins_a_model_of_the_size_asked_for(tmp_path: Path) -> None:
    weights = backbone_of(18)
    path = tmp_path / "resnet18.pth"
    torch.save(weights, path)
    start = starting_model(settings(weights=str(path), model="r18vd"), LABELS)
    assert start.origin == f"r18vd from scratch, except its backbone: {path}"
    state = start.model.state_dict()
    name = "model.backbone.model.encoder.stages.3.layers.1.layer.1.convolution.weight"
    assert torch.equal(state[name], weights["res_layers.3.blocks.1.branch2b.conv.weight"])
    assert state["class_embed.0.bias"].sigmoid().tolist() == pytest.approx([0.01, 0.01])
    with pytest.raises(
        CorruptFile, match=r"resnet18.pth: does not fit the model: .*; it has model.backbone.model.encoder"
    ):
        starting_model(settings(weights=str(path), model="r50vd"), LABELS)


def test_a_backbone_that_lacks_layers_is_refused(tmp_path: Path) -> None:
    """R18vd's layers all fit R34vd, which has more of them."""
    torch.save(backbone_of(18), tmp_path / "resnet18.pth")
    with pytest.raises(
        CorruptFile,
        match=r"resnet18.pth: does not fit the model: it lacks model.backbone.model.encoder.stages.0",
    ):
        starting_model(settings(weights=str(tmp_path / "resnet18.pth"), model="r34vd"), LABELS)


def test_training_starts_from_the_backbone_trained_on_imagenet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, weights = tmp_path / "release", backbone_of(18)
    release.mkdir()
    name, published = origins.IMAGENET["r18vd"]
    torch.save(weights, release / name)
    monkeypatch.setattr(origins, "_RELEASE", release.as_uri())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    made = settings(model="r18vd", weights="imagenet")
    # another file than the published one
    with pytest.raises(
        DataNotFound,
        match=rf'weights "imagenet": cannot be downloaded from file:.*{name} \(invalid hash value .*{published}.*\); '
        "download the file on another computer and give its path, or none to train from scratch",
    ):
        starting_model(made, LABELS)
    digest = hashlib.sha256((release / name).read_bytes()).hexdigest()
    monkeypatch.setitem(origins.IMAGENET, "r18vd", (name, digest))
    start = starting_model(made, LABELS)
    assert start.origin == f"r18vd from scratch, except its backbone: imagenet ({name})"
    first = "model.backbone.model.embedder.embedder.0.convolution.weight"
    assert torch.equal(start.model.state_dict()[first], weights["conv1.conv1_1.conv.weight"])
    # DEIM's rt_deim.yml: activation and mlp_act silu, query_pos_method as_reg, unfrozen batch norms
    config = start.model.config
    assert (config.decoder_activation_function, getattr(config, models.HEADS)) == ("silu", "deim")
    assert not config.freeze_backbone_batch_norms
    assert [tuple(layer.weight.shape) for layer in start.model.model.decoder.query_pos_head.layers] == [
        (256, 4),
        (256, 256),
        (256, 256),
    ]
    # it is fetched once
    (release / name).unlink()
    assert starting_model(made, LABELS).origin == start.origin
    with pytest.raises(
        ValueError,
        match='^weights "imagenet": there is no backbone for the model tiny; use weights none, or one of the models '
        "r50vd, r34vd, r18vd$",
    ):
        starting_model(settings(weights="imagenet"), LABELS)


def test_what_is_no_checkpoint_of_theirs_is_refused(tmp_path: Path) -> None:
    weights = random_weights(layout(18))
    path = tmp_path / "a.pth"

    def refused(content: Any, sentence: str) -> None:
        torch.save(content, path)
        with pytest.raises(CorruptFile, match=sentence):
            starting_model(settings(weights=str(path)), LABELS)

    strange = {**weights, "decoder.integral.project": torch.zeros(33)}
    refused(
        {"model": strange},
        r"a.pth: is not an RT-DETRv2: has decoder.integral.project; give a checkpoint of RT-DETRv2",
    )
    lacking = {
        name: value for name, value in weights.items() if name != "encoder.encoder.0.layers.0.linear1.weight"
    }
    refused(
        {"model": lacking},
        r"a.pth: lacks weights of an RT-DETRv2 \('encoder.encoder.0.layers.0.linear1.weight'\)",
    )
    lacking = {
        name: value for name, value in weights.items() if name != "encoder.fpn_blocks.1.conv3.conv.weight"
    }
    refused(
        {"model": lacking},
        r"a.pth: does not fit the model: it lacks model.encoder.fpn_blocks.1.conv3.conv.weight; give",
    )
    other = {**weights, "encoder.lateral_convs.0.conv.weight": torch.zeros(256, 128, 1, 1)}
    refused(
        {"model": other},
        r"has model.encoder.lateral_convs.0.conv.weight \(256, 128, 1, 1\) where \(256, 256, 1, 1\) belongs",
    )
    refused({"epoch": 3}, r"a.pth: is not an RT-DETRv2: has no weights")
    refused({"model": weights, "hook": Path}, r"a.pth: cannot be read as a file of weights alone")


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        DataNotFound, match=r"a\.pth: no such file of weights; give the path of a file, a hub name, or none"
    ):
        starting_model(settings(weights=str(tmp_path / "a.pth")), LABELS)
    with pytest.raises(
        DataNotFound, match=r"has no config.json; give the folder of a run, or a folder that transformers"
    ):
        starting_model(settings(weights=str(tmp_path)), LABELS)
    with pytest.raises(
        ValueError, match=r'model "r99": unknown size of RT-DETRv2; use one of: r50vd, r34vd, r18vd, tiny'
    ):
        starting_model(settings(model="r99"), LABELS)


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        DataNotFound, match=r'weights "nobody/nothing": cannot be downloaded from the Hugging Face hub'
    ):
        starting_model(settings(weights="nobody/nothing"), LABELS)


def test_what_transformers_wrote_is_read(tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs = RTDetrV2ForObjectDetection(models.configuration("tiny", ["a", "b", "c"], "rtdetr"))
    theirs.config.freeze_backbone_batch_norms = True
    theirs.save_pretrained(tmp_path / "hub")
    values = (tmp_path / "hub" / "config.json").read_text(encoding="utf-8")
    (tmp_path / "hub" / "config.json").write_text(
        values.replace('"pcm_heads": "rtdetr",', ""), encoding="utf-8"
    )
    start = starting_model(settings(weights=str(tmp_path / "hub")), LABELS)
    assert start.origin.endswith("except its heads for 3 other classes")
    assert not start.model.config.freeze_backbone_batch_norms
    images = torch.rand(1, 3, 64, 64)
    nn.Module.eval(theirs)
    nn.Module.eval(start.model)
    before, after = theirs.model(images), start.model.model(images)
    assert torch.equal(before.encoder_last_hidden_state[0], after.encoder_last_hidden_state[0])
    models.write(start.model, tmp_path / "run")
    again = nn.Module.eval(models.read(tmp_path / "run"))
    assert torch.equal(again(images).logits, start.model(images).logits)


def test_a_run_s_own_weights_keep_their_heads_for_the_same_labels_only(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = models.build(models.configuration("tiny", LABELS))
    models.initialise(model)
    models.write(model, tmp_path / "run" / "model")
    again = starting_model(settings(weights=str(tmp_path / "run")), LABELS)
    assert again.origin.endswith(", with its heads for classes")
    for (name, before), after in zip(
        model.state_dict().items(), again.model.state_dict().values(), strict=True
    ):
        assert torch.equal(before, after), name
    other = starting_model(settings(weights=str(tmp_path / "run" / "model")), LABELS[::-1])
    assert other.origin.endswith("except its heads for 2 other classes")
    name = "class_embed.0.weight"
    assert not torch.equal(other.model.state_dict()[name], model.state_dict()[name])


def test_a_model_is_written_and_read_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = models.build(models.configuration("tiny", LABELS)).eval()  # type: ignore[no-untyped-call]
    models.initialise(model)
    models.write(model, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    models.write(model, tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = models.read(tmp_path).eval()  # type: ignore[no-untyped-call]
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(model(images).logits, again(images).logits)
    assert models.labels_of(again.config) == LABELS
    # the heads have SiLU, which a plain model of transformers has not
    plain = RTDetrV2ForObjectDetection(model.config).eval()  # type: ignore[no-untyped-call]
    assert not hasattr(plain.model.decoder.query_pos_head.layers, "2")
    (tmp_path / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(CorruptFile, match=r"config.json: is not a configuration of RT-DETRv2"):
        models.read(tmp_path)


def test_training_begins_where_the_authors_begin() -> None:
    torch.manual_seed(0)
    model = models.build(models.configuration("tiny", LABELS))
    models.initialise(model)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    # transformers draws these around 0
    assert all(torch.equal(norm.weight, torch.ones_like(norm.weight)) for norm in norms)
    outputs = model(torch.rand(2, 3, 128, 128))
    assert outputs.logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.5)
    # each head's points lie one to four steps in its own direction: the first looks right
    offsets = model.model.decoder.layers[0].encoder_attn.sampling_offsets.bias.reshape(4, 3, 4, 2)
    assert offsets[0, 0].tolist() == [[1, 0], [2, 0], [3, 0], [4, 0]]


def test_the_checkpoint_alone_tells_its_configuration(tmp_path: Path) -> None:
    torch.save(random_weights(layout(50)), tmp_path / "a.pth")
    known, heads, _ = read(tmp_path / "a.pth")
    wanted = models.configuration("r50vd", [str(n) for n in range(80)], "rtdetr")
    differs = {
        key
        for key, value in wanted.to_dict().items()
        if known.to_dict().get(key) != value
        and key not in {"id2label", "label2id", models.HEADS, "freeze_backbone_batch_norms"}
    }
    assert heads == "rtdetr"
    assert differs == set()


def test_impossible_settings_are_refused() -> None:
    for changes, sentence in (
        ({"image_size": 100}, "^setting image_size: is 100; give a multiple of 32, such as 640$"),
        ({"mosaic": 1.5}, "^setting mosaic: is 1.5; give 0 to 1$"),
        ({"epochs": 0}, "^setting epochs: is 0; give 1 or more$"),
        ({"lr": -1.0}, "^setting lr: is -1.0; give 0 or more$"),
    ):
        with pytest.raises(ValueError, match=sentence):
            settings(**changes)
    assert structs.asdict(settings())["model"] == "tiny"
