"""Sets of labelled images, and the data of a retrieval experiment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor


class DatasetError(ValueError):
    """A data set that cannot be used: names the file, the fault and the remedy."""


class Images(ABC):
    """Labelled images, in memory or on disk, as training and evaluation read them.

    Attributes:
        labels: (n,) int64, any values.
    """

    labels: Tensor

    @property
    @abstractmethod
    def channels(self) -> int:
        """C, channels of every image."""

    @abstractmethod
    def select(self, rows: Tensor) -> Self:
        """The images of these rows, in the order of ``rows``."""

    @abstractmethod
    def fetch(self, rows: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The images of these rows, (len(rows), C, H, W) uint8.

        Args:
            rows: (b,) indices.
            generator: of the random training view, on the CPU; without it, the test view.
        """

    def show(self, rows: Tensor) -> Tensor:
        """The images of these rows for a person to look at, (len(rows), C, H, W) uint8."""
        return self.fetch(rows)

    def fetch_part(
        self, rows: Tensor, part: slice, generator: torch.Generator | None = None
    ) -> Tensor:
        """``fetch(rows, generator)[part]``: the share of one of several processes in a batch.

        A set in which the randomness of each image is separate should read the part alone.
        """
        return self.fetch(rows, generator)[part]

    def __len__(self) -> int:
        """Number of images, n."""
        return len(self.labels)

    @property
    def classes(self) -> Tensor:
        """The distinct labels, ascending."""
        return self.labels.unique()

    def of_classes(self, classes: Tensor) -> Self:
        """The images whose label is one of ``classes``."""
        return self.select(torch.isin(self.labels, classes).nonzero().squeeze(1))


@dataclass(frozen=True)
class ImageSet(Images):
    """Rendered images in memory, inverted so that their white background is 0, as padding is.

    Attributes:
        images: (n, C, H, W) uint8.
        labels: (n,) int64, any values.
    """

    images: Tensor
    labels: Tensor

    @property
    def channels(self) -> int:
        """C, channels of every image."""
        return self.images.shape[1]

    def select(self, rows: Tensor) -> Self:
        """The images of these rows, in their order."""
        return type(self)(self.images[rows], self.labels[rows])

    def fetch(self, rows: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See :meth:`Images.fetch`; the whole image in both views, to be cropped on the device."""
        return self.images[rows]

    def show(self, rows: Tensor) -> Tensor:
        """See :meth:`Images.show`: on a white background."""
        return 255 - self.images[rows]

    def fetch_part(
        self, rows: Tensor, part: slice, generator: torch.Generator | None = None
    ) -> Tensor:
        """See :meth:`Images.fetch_part`."""
        return self.images[rows[part]]


@dataclass(frozen=True)
class Retrieval:
    """A data set with its protocol.

    Attributes:
        name: of the data set.
        train: training images.
        query: query images.
        gallery: images to search; None for leave-one-out among the queries.
        ks: the K of R@K.
        fingerprint: SHA-256 of the data; on disk, of the list files and the name of the view.
        lists: test lists by name, as indices of queries (VehicleID's small, medium and large);
            each is evaluated separately, under both of VehicleID's protocols.
    """

    name: str
    train: Images
    query: Images
    gallery: Images | None
    ks: tuple[int, ...]
    fingerprint: str
    lists: dict[str, Tensor] = field(default_factory=dict)
