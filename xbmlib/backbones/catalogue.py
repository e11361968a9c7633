"""The backbones by name, and how to build an embedder on one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from xbmlib.backbones import bninception, compact, inputs
from xbmlib.backbones.embedder import Embedder
from xbmlib.backbones.weights import check_trunk, load_trunk
from xbmlib.extras import require


def _googlenet() -> nn.Module:
    models = require("torchvision.models", extra="study")
    net = models.googlenet(weights=None, aux_logits=False, init_weights=True)
    return _cut(net, ("aux1", "aux2", "avgpool", "dropout", "fc"))


# torchvision's, with a ReLU after its first batch normalisation. The released code's ResNet50 has
# none there; the paper does not say.
def _resnet50() -> nn.Module:
    models = require("torchvision.models", extra="study")
    return _cut(models.resnet50(weights=None), ("avgpool", "fc"))


def _cut(net: nn.Module, cut: tuple[str, ...]) -> nn.Module:
    """The named children of a torchvision classifier in order, without those in ``cut``."""
    trunk = nn.Sequential()
    for name, child in net.named_children():
        if name not in cut:
            trunk.add_module(name, child)
    return trunk


class Backbone(NamedTuple):
    """A trunk, its input and its output.

    Attributes:
        trunk: builds it; takes the number of channels where ``channels`` offers a choice.
        features: channels of its feature maps.
        normalise: builds the module from images in [0, 1] to what its weights expect.
        channels: numbers of channels that its images may have.
    """

    trunk: Callable[..., nn.Module]
    features: int
    normalise: Callable[[], nn.Module]
    channels: tuple[int, ...] = (3,)


BACKBONES = {
    "compact": Backbone(compact.Compact, compact.WIDTHS[-1], nn.Identity, (1, 3)),
    "googlenet": Backbone(_googlenet, 1024, inputs.symmetric),
    "bninception": Backbone(bninception.BNInception, bninception.FEATURES, inputs.caffe),
    "resnet50": Backbone(_resnet50, 2048, inputs.imagenet),
}


def build(
    name: str,
    dim: int,
    weights: str | None = None,
    *,
    pooling: str = "avg",
    channels: int | None = None,
    freeze_bn: bool = False,
) -> Embedder:
    """Build an embedder: images (B, C, H, W) in [0, 1] to (B, D) of norm 1 (Section 4.1).

    The embedder normalises the images as its weights expect.

    =============  ======  ==========  ========  ===============================================
    name           images  parameters  features  source; normalisation of its input
    =============  ======  ==========  ========  ===============================================
    "compact"      32×32   1.2 M       256       of the bundled study; none
    "googlenet"    224×224 5.6 M       1024      Szegedy et al. 2015, torchvision's, without
                                                 auxiliary heads; (x - 0.5) / 0.5
    "bninception"  224×224 10.3 M      1024      Ioffe & Szegedy 2015, in the layout of the
                                                 weights converted from Caffe; BGR in [0, 255]
                                                 minus (104, 117, 128)
    "resnet50"     224×224 23.5 M      2048      He et al. 2016, torchvision's; ImageNet's mean
                                                 and standard deviation
    =============  ======  ==========  ========  ===============================================

    Parameters are the trunk's, features the channels of its maps. Images of other sizes work too;
    BN-Inception refuses those that it cannot halve.

    Args:
        name: of the backbone.
        dim: D, embedding dimension (the paper: 512; also 64 and, with ResNet50, 128).
        weights: of the trunk. None: random. "scripts": those bundled for "compact", pretrained on
            letters. A name of torchvision's, such as "IMAGENET1K_V1", for "googlenet" and
            "resnet50": downloaded by torchvision. Otherwise the path of a .safetensors, .pt or
            .pth file with the keys of its source (torchvision's; for "bninception" those of the
            public ``bn_inception-*.pth``), read without unpickling code; a classifier's keys in it
            are ignored. All are for the normalisation above.
        pooling: "avg" (the paper) or "max" (the released networks).
        channels: of the images, by default 1 for "compact" and 3 for the others. Weights for one
            channel are spread over three, a third to each: a grey image has the same embedding.
        freeze_bn: keep batch normalisation as the weights have it, see
            :meth:`Embedder.freeze_batch_norm`.

    Training on a CPU is fastest after ``.to(memory_format=torch.channels_last)``.

    Raises:
        ValueError: an unknown name, a number of channels that it does not take, an unknown
            pooling, or a dim below 1.
        WeightsError: weights that are unknown, missing, unreadable or do not fit; a ValueError.
        MissingExtra: torchvision or safetensors is needed and not installed.

    Example:
        >>> import torch
        >>> embedder = build("compact", dim=64)
        >>> embeddings = embedder(torch.rand(8, 1, 32, 32))
        >>> embeddings.shape
        torch.Size([8, 64])
        >>> torch.allclose(embeddings.norm(dim=1), torch.ones(8))
        True
    """
    if name not in BACKBONES:
        raise ValueError(f"name={name!r}: no such backbone; known: {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]
    known = backbone.channels
    channels = known[0] if channels is None else channels
    if channels not in known:
        raise ValueError(
            f"channels={channels}: {name} takes images of {' or '.join(map(str, known))}"
        )
    embedder = Embedder(
        _trunk(backbone, channels),
        backbone.features,
        dim,
        pooling,
        normalise=backbone.normalise(),
        freeze_bn=freeze_bn,
    )
    if weights is not None:
        load_trunk(embedder.trunk, name, weights)
    return embedder


def _trunk(backbone: Backbone, channels: int) -> nn.Module:
    return backbone.trunk(channels) if len(backbone.channels) > 1 else backbone.trunk()


def check_weights(name: str, weights: str, channels: int) -> None:
    """Refuse weights that :func:`build` would refuse, without building the embedder.

    Args:
        name: of the backbone.
        weights: as for :func:`build`; what torchvision offers by name is not downloaded.
        channels: of the images, a number that the backbone takes.

    Raises:
        WeightsError, MissingExtra: as :func:`build`.
    """
    with torch.device("meta"):
        trunk = _trunk(BACKBONES[name], channels)
    check_trunk(trunk, name, weights)
