"""Images stored as encoded bytes and decoded when they are read."""

from __future__ import annotations

import io
from abc import abstractmethod

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from xbmlib.datasets.images import DatasetError, Images
from xbmlib.datasets.views import DRAWS, View

# The modes that Pillow converts to RGB without clipping, as it would 16 and 32 bits per channel.
EIGHT_BITS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr"}


class EncodedImages(Images):
    """Images stored as encoded bytes, one per row; read through a view, in RGB.

    Attributes:
        labels: (n,) int64.
        view: the crops of training and test.
    """

    view: View

    @abstractmethod
    def encoded(self, row: int) -> bytes:
        """The bytes of one image.

        Raises:
            DatasetError: they cannot be read.
        """

    @abstractmethod
    def where(self, row: int) -> str:
        """The place of the bytes of one image, for a message."""

    @property
    @abstractmethod
    def remedy(self) -> str:
        """What to do about an image that cannot be decoded, for a message."""

    @property
    def channels(self) -> int:
        """3: red, green and blue."""
        return 3

    def decoded(self, row: int) -> Tensor:
        """One whole image, (3, H, W) uint8.

        Raises:
            DatasetError: it is missing, truncated or cannot be decoded.
        """
        content = self.encoded(row)
        try:
            return decode(content)
        except Exception as error:  # decoders raise exceptions of many kinds
            raise DatasetError(
                f"{self.where(row)}: {len(content):,} bytes that cannot be decoded "
                f"({error}); {self.remedy}"
            ) from error

    def fetch(self, rows: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See :meth:`Images.fetch`: the view's training crops with a generator, else its test crop.

        Each image has its own ``DRAWS`` random numbers, by its position in ``rows``.

        Raises:
            DatasetError: an image is missing, truncated or cannot be decoded.
        """
        return self.fetch_part(rows, slice(None), generator)

    def fetch_part(
        self, rows: Tensor, part: slice, generator: torch.Generator | None = None
    ) -> Tensor:
        """See :meth:`Images.fetch_part`: only this part is decoded."""
        u = None
        if generator is not None:
            u = torch.rand(len(rows), DRAWS, dtype=torch.float64, generator=generator)[part]
        rows = rows[part]
        out = torch.empty(len(rows), 3, self.view.crop, self.view.crop, dtype=torch.uint8)
        for at, row in enumerate(rows.tolist()):
            image = self.decoded(row)
            out[at] = self.view.test(image) if u is None else self.view.train(image, u[at])
        return out


def decode(content: bytes) -> Tensor:
    """Decode an image to RGB, (3, H, W) uint8.

    Greyscale is copied to all three channels; a palette is applied; CMYK is converted by Pillow,
    without a colour profile; transparency is composited on white. The orientation in EXIF is not
    applied, as the published evaluations do not apply it.

    Raises:
        OSError: the image is truncated.
        ValueError: more than 8 bits per channel.
        Exception: whatever else its decoder raises.
    """
    with Image.open(io.BytesIO(content)) as image:
        if image.mode not in EIGHT_BITS:
            raise ValueError(f"Pillow's mode {image.mode!r} does not have 8 bits per channel")
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            opaque = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        else:
            opaque = image
        # NumPy would hide an error in decoding.
        opaque.load()
        pixels = np.array(opaque if opaque.mode == "RGB" else opaque.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)
