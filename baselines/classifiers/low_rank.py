"""Low-rank adaptation (LoRA, Hu et al., 2021) of a frozen backbone, by peft.

Each linear layer of the backbone gets two small matrices, whose product is added to its weights. Only they and the head
are trained. At the end they are merged into the weights, so that a plain backbone is saved, and predicting
needs no peft.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
from torch import nn

from pcm_leukemia.baselines.classifiers import loop
from pcm_leukemia.baselines.classifiers.network import Network
from pcm_leukemia.errors import MissingExtra

__all__ = ["add", "linear_layers", "merge", "require"]


def require(network: Network, model: str) -> None:
    """Refuse a model without linear layers, before anything is trained.

    Raises
    ------
    ValueError
        If the backbone of the model has no linear layers.
    MissingExtra
        If peft is not installed.
    """
    if not linear_layers(network):
        raise ValueError(
            f"setting strategy: lora adapts linear layers, but {model} has none; use lp+ft, or a transformer"
        )
    _peft()


def linear_layers(network: Network) -> list[str]:
    """The linear layers of the backbone, by name, in the order in which they run.

    Some models have layers that never run themselves, while other layers use their weights. LoRA cannot adapt these.

    Examples
    --------
    >>> from pcm_leukemia.baselines.classifiers.backbones import backbone
    >>> linear_layers(Network(backbone("test_vit", "none"), 8))[:4]
    ['blocks.0.attn.qkv', 'blocks.0.attn.proj', 'blocks.0.mlp.fc1', 'blocks.0.mlp.fc2']
    """
    ran: dict[str, None] = {}

    def noting(name: str) -> Callable[..., None]:
        return lambda *_: ran.update({name: None})

    hooks = [
        layer.register_forward_hook(noting(name))
        for name, layer in network.backbone.named_modules()
        if isinstance(layer, nn.Linear)
    ]
    size = network.image_size
    with torch.no_grad():
        network.eval().features(torch.zeros(1, 3, size, size, device=network.mean.device))
    for hook in hooks:
        hook.remove()
    return list(ran)


def add(network: Network, *, rank: int, alpha: int, seed: int) -> None:
    """Freeze the backbone of a network, and add two trainable matrices to each of its linear layers.

    Parameters
    ----------
    network
        The network; its head stays as it is.
    rank
        The inner side of the two matrices.
    alpha
        Their product is multiplied by `alpha` / `rank`.
    seed
        The seed of the first matrix; the second one begins with zeros, so that at first the
        output of the network does not change.
    """
    network.freeze(frozen=True)
    config = _peft().LoraConfig(r=rank, lora_alpha=alpha, target_modules=linear_layers(network))
    with loop.seeded(seed, "cpu"):
        network.backbone = _peft().get_peft_model(network.backbone, config)


def merge(network: Network) -> None:
    """Merge the matrices into the weights of the backbone, and unfreeze it."""
    network.backbone = network.backbone.merge_and_unload()  # type: ignore[operator]
    network.freeze(frozen=False)


def _peft() -> ModuleType:
    try:
        import peft
    except ModuleNotFoundError as error:
        raise MissingExtra("peft", "baselines") from error
    return peft
