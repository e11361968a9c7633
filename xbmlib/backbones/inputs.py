"""From images in [0, 1] to what a backbone's weights were trained on."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """(x - mean) / std for each channel of RGB images in [0, 1].

    A constant of the backbone rather than one of its weights: not in the state dict.

    Args:
        mean, std: of the three channels in the weights' own order, in units of [0, 1].
        bgr: the weights' order is blue, green, red.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, mean: tuple[float, ...], std: tuple[float, ...], *, bgr: bool = False
    ) -> None:
        super().__init__()
        self.bgr = bgr
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images, (B, 3, H, W) like the input.

        Raises:
            ValueError: images of whole numbers, or not of three channels.
        """
        if not x.is_floating_point() or x.ndim != 4 or x.shape[1] != 3:
            raise ValueError(
                f"images {tuple(x.shape)} of {x.dtype}: give (B, 3, H, W), RGB, floats in [0, 1]"
            )
        return ((x.flip(1) if self.bgr else x) - self.mean) / self.std


def imagenet() -> Normalise:
    """By ImageNet's mean and standard deviation, for torchvision's weights."""
    return Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def symmetric() -> Normalise:
    """To [-1, 1], for torchvision's GoogLeNet: its weights were converted from TensorFlow's.

    torchvision implements it as a correction to images that were normalised by ImageNet's mean
    and standard deviation (``transform_input``).
    """
    return Normalise((0.5,) * 3, (0.5,) * 3)


def caffe() -> Normalise:
    """To blue, green, red in [0, 255] minus (104, 117, 128), for weights converted from Caffe."""
    return Normalise((104 / 255, 117 / 255, 128 / 255), (1 / 255,) * 3, bgr=True)
