"""The embedder f(x; θ): trunk, global pooling, linear head, L2 normalisation (Section 4.1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from xbmlib.backbones.compact import WIDTHS, Compact
from xbmlib.backbones.weights import load_trunk


class Embedder(nn.Module):
    """Images (B, C, H, W) to unit vectors (B, D), float32 under autocast too.

    Args:
        trunk: images to feature maps (B, features, h, w).
        features: channels of the feature maps.
        dim: D, embedding dimension.
        pooling: "avg" (the paper) or "max" (the released networks).
    """

    def __init__(self, trunk: nn.Module, features: int, dim: int, pooling: str = "avg") -> None:
        super().__init__()
        if pooling not in ("avg", "max"):
            raise ValueError(f'pooling={pooling!r}: use "avg" or "max"')
        if dim < 1:
            raise ValueError(f"dim={dim}: give at least 1")
        self.trunk = trunk
        self.pooling = pooling
        self.head = nn.Linear(features, dim)
        nn.init.kaiming_normal_(self.head.weight, mode="fan_out")
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Embed images."""
        maps = self.trunk(x)
        pooled = maps.mean((2, 3)) if self.pooling == "avg" else maps.amax((2, 3))
        return F.normalize(self.head(pooled).float())


class Input(nn.Module):
    """x · scale + shift for each channel: from the input that users give to what weights expect.

    The identity until weights set it; part of the trunk, so that it is saved along with them.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(3, 1, 1))
        self.register_buffer("shift", torch.zeros(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to the same."""
        return x * self.scale + self.shift


def _googlenet(channels: int) -> nn.Module:
    net = models.googlenet(weights=None, aux_logits=False, init_weights=True)
    trunk = nn.Sequential()
    trunk.add_module("input", Input())
    return _append(trunk, net, ("aux1", "aux2", "avgpool", "dropout", "fc"))


def _resnet50(channels: int) -> nn.Module:
    return _append(nn.Sequential(), models.resnet50(weights=None), ("avgpool", "fc"))


def _append(trunk: nn.Module, net: nn.Module, cut: tuple[str, ...]) -> nn.Module:
    """The children of a torchvision classifier in order, under their names, less the last ones."""
    for name, child in net.named_children():
        if name not in cut:
            trunk.add_module(name, child)
    return trunk


# Name: (trunk for images of so many channels, channels of its feature maps, images that it takes).
BACKBONES: dict[str, tuple[Callable[[int], nn.Module], int, tuple[int, ...]]] = {
    "compact": (Compact, WIDTHS[-1], (1, 3)),
    "googlenet": (_googlenet, 1024, (3,)),
    "resnet50": (_resnet50, 2048, (3,)),
}


def build(
    name: str,
    dim: int,
    weights: str | None = None,
    *,
    pooling: str = "avg",
    channels: int | None = None,
) -> Embedder:
    """Build an embedder.

    Args:
        name: "compact" (1 or 3 × 32 × 32 images), "googlenet" or "resnet50" (3 × 224 × 224,
            torchvision's, auxiliary heads off).
        dim: D, embedding dimension (the paper: 512; its ResNet50: 128).
        weights: of the trunk. None: random. "scripts": what ships for "compact", pretrained on
            letters. A name of torchvision's, such as "IMAGENET1K_V1": fetched through
            torchvision, for images normalised by ImageNet's mean and standard deviation
            (GoogLeNet's were trained on (x - 0.5) / 0.5: its trunk then converts, as
            torchvision's transform_input does). Else the path of a .safetensors, .pt or .pth
            file, read without unpickling code; a classifier's own keys in it are passed over,
            and its images are taken as they come.
        pooling: "avg" (the paper) or "max" (the released networks).
        channels: of the images, by default 1 for "compact" and 3 for the others. Weights of one
            channel serve three, each with a third of them: a grey picture gives what it gave.

    Training is fastest on a CPU after ``.to(memory_format=torch.channels_last)``.

    Raises:
        ValueError: an unknown name, channels that it does not take, or weights that do not fit
            (WeightsError).
    """
    if name not in BACKBONES:
        raise ValueError(f"name={name!r}: no such backbone; known: {', '.join(BACKBONES)}")
    make, features, known = BACKBONES[name]
    channels = known[0] if channels is None else channels
    if channels not in known:
        raise ValueError(
            f"channels={channels}: {name} takes images of {' or '.join(map(str, known))}"
        )
    embedder = Embedder(make(channels), features, dim, pooling)
    if weights is not None:
        load_trunk(embedder.trunk, name, weights)
    return embedder
