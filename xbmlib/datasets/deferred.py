"""Images of a file that is decoded when the first of them is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Self

from torch import Tensor

from xbmlib.datasets.images import ImageSet


class DeferredImages(ImageSet):
    """Rendered images in memory from the first read on; their labels are known before.

    Identifying a run or loading it from the store takes the number of images and their labels
    alone, and decoding takes seconds.

    Attributes:
        images: (n, C, H, W) uint8, decoded when it is first read.
        labels: (n,) int64, any values.

    Args:
        decode: returns all images of the file, (N, C, H, W) uint8; called again for each
            selection, so that it should keep them.
        channels: C.
        rows: (n,) int64, the rows of the file.
        labels: (n,) int64, their labels.
    """

    def __init__(
        self, decode: Callable[[], Tensor], channels: int, rows: Tensor, labels: Tensor
    ) -> None:
        self.decode, self.rows, self._channels = decode, rows, channels
        object.__setattr__(self, "labels", labels)  # a field, and fields are frozen

    @cached_property
    def images(self) -> Tensor:
        """(n, C, H, W) uint8."""
        return self.decode()[self.rows]

    @property
    def channels(self) -> int:
        """C, channels of every image."""
        return self._channels

    def select(self, rows: Tensor) -> Self:
        """The images of these rows, in their order."""
        return type(self)(self.decode, self._channels, self.rows[rows], self.labels[rows])
