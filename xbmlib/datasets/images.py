"""Sets of labelled images, and what a retrieval experiment is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


class DatasetError(ValueError):
    """A data set that cannot be used: names the file, what is wrong and the remedy."""


@dataclass(frozen=True)
class ImageSet:
    """Labelled images in memory.

    Attributes:
        images: (n, C, H, W) uint8.
        labels: (n,) int64, any values.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        """Number of images, n."""
        return len(self.labels)

    @property
    def classes(self) -> Tensor:
        """The different labels, ascending."""
        return self.labels.unique()

    def of_classes(self, classes: Tensor) -> ImageSet:
        """The images whose label is one of ``classes``."""
        chosen = torch.isin(self.labels, classes)
        return ImageSet(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Retrieval:
    """A data set with its protocol.

    Attributes:
        name: of the data set.
        train: images to learn from.
        query: images whose neighbours are looked for.
        gallery: where they are looked for; None for leave-one-out among the queries.
        ks: the K of R@K.
        fingerprint: SHA-256 of the data.
        lists: test lists by name, as indices of queries (VehicleID's small, medium and large);
            each is measured by itself, under both of VehicleID's protocols.
    """

    name: str
    train: ImageSet
    query: ImageSet
    gallery: ImageSet | None
    ks: tuple[int, ...]
    fingerprint: str
    lists: dict[str, Tensor] = field(default_factory=dict)
