"""Classes and a network for runs of seconds: those of xbm_in_one_page and of diagnosis."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from xbmlib import datasets

# Of training and, others, of evaluation.
CLASSES = 300
DIM = 64  # D


class Part(NamedTuple):
    """Some classes of a set: images (n, C, 32, 32) float in [0, 1], labels (n,)."""

    images: Tensor
    labels: Tensor


def classes(data: str, seed: int) -> tuple[Part, Part]:
    """Sampled training classes of a set, to train on and, others, to evaluate."""
    train = datasets.load(data).train
    labels, images = train.labels, train.fetch(torch.arange(len(train), device="cpu"))
    chosen = torch.randperm(int(labels.max()) + 1, generator=torch.Generator().manual_seed(seed))
    parts = []
    for some in (chosen[:CLASSES], chosen[CLASSES : 2 * CLASSES]):
        rows = torch.isin(labels, some).nonzero()[:, 0]
        parts.append(Part(images[rows].float() / 255, labels[rows]))
    return parts[0], parts[1]


class Small(nn.Module):
    """Three convolutions from scratch: images (b, C, 32, 32) to embeddings (b, D) of norm 1."""

    def __init__(self, channels: int, norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, kernel in ((16, 5), (32, 3), (64, 3)):
            layers.append(nn.Conv2d(channels, width, kernel, 2, kernel // 2))
            layers += [nn.BatchNorm2d(width)] * norm
            layers.append(nn.ReLU())
            channels = width
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * channels, DIM))

    def forward(self, images: Tensor) -> Tensor:
        """Embed images."""
        return normalize(self.layers(images))
