"""Images kept as encoded bytes, decoded when they are looked at."""

from __future__ import annotations

import io
from abc import abstractmethod

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from xbmlib.datasets.images import DatasetError, Images
from xbmlib.datasets.views import DRAWS, View

# What Pillow turns into RGB without loss of range; 16 and 32 bits a channel it would clip.
EIGHT_BITS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr"}


class EncodedImages(Images):
    """Images of which each row has encoded bytes; seen through a view, in RGB.

    Attributes:
        labels: (n,) int64.
        view: how they are seen.
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
        """Where the bytes of one image lie, for a message."""

    @property
    @abstractmethod
    def remedy(self) -> str:
        """What to do about an image that cannot be decoded, for a message."""

    @property
    def channels(self) -> int:
        """3: red, green and blue."""
        return 3

    def decoded(self, row: int) -> Tensor:
        """One image whole, (3, H, W) uint8.

        Raises:
            DatasetError: it is missing, truncated or cannot be decoded.
        """
        content = self.encoded(row)
        try:
            return decode(content)
        except Exception as error:  # decoders raise of every kind
            raise DatasetError(
                f"{self.where(row)}: {len(content):,} bytes that cannot be decoded "
                f"({error}); {self.remedy}"
            ) from error

    def fetch(self, rows: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See :meth:`Images.fetch`: the view's training crops with a generator, else its centre.

        Each image takes its own ``DRAWS`` numbers, by its position among ``rows``.

        Raises:
            DatasetError: an image is missing, truncated or cannot be decoded.
        """
        return self.fetch_part(rows, slice(None), generator)

    def fetch_part(
        self, rows: Tensor, part: slice, generator: torch.Generator | None = None
    ) -> Tensor:
        """See :meth:`Images.fetch_part`: only these are decoded."""
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
    """(3, H, W) uint8 in RGB of an encoded image.

    Greyscale goes into all three channels; a palette is looked up; CMYK becomes RGB as Pillow does
    it, without a colour profile; what is transparent lies on white. The orientation that a camera
    noted in EXIF is not applied, as the published evaluations do not apply it.

    Raises:
        OSError: the image is truncated.
        ValueError: more than 8 bits a channel.
        Exception: whatever else its decoder raises.
    """
    with Image.open(io.BytesIO(content)) as image:
        if image.mode not in EIGHT_BITS:
            raise ValueError(f"Pillow's mode {image.mode!r} is not of 8 bits a channel")
        if image.has_transparency_data:
            over = image.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
        else:
            picture = image
        # NumPy would pass over an error on its way to the pixels.
        picture.load()
        pixels = np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)
