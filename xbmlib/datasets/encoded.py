"""Images stored as encoded bytes and decoded when they are read."""

from __future__ import annotations

import io
from abc import abstractmethod

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from xbmlib.datasets.images import DatasetError, Images
from xbmlib.datasets.views import DRAWS, View

# The formats that photographs are in. Others have readers that run programs (EPS), or hold what an
# image of 8 bits per channel is not (LAB and floats in TIFF).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
# Of one image: far above any photograph of a data set, and some 200 MB decoded.
PIXELS = 1 << 26
# Of the longer to the shorter side: resized to a shorter side of 256, JPEG holds no more.
ASPECT = 255
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
            u = torch.rand(
                len(rows), DRAWS, dtype=torch.float64, generator=generator, device="cpu"
            )[part]
        rows = rows[part]
        side = self.view.crop
        out = torch.empty(len(rows), 3, side, side, dtype=torch.uint8, device="cpu")
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
        ValueError: a format that is none of ``FORMATS``; more than 8 bits per channel, in grey or
            in colour; more than ``PIXELS``, or sides of a ratio above ``ASPECT``.
        Exception: whatever else its decoder raises.
    """
    try:
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"no image that can be read as {', '.join(FORMATS)}") from None
    with opened as image:
        # Pillow reduces 16 bits of colour to 8 in silence: only the raw mode still shows them.
        raw = [mode for tile in image.tile for mode in _strings(tile[3]) if ";16" in mode]
        if image.mode not in EIGHT_BITS or raw:
            mode = raw[0] if raw else image.mode
            raise ValueError(f"Pillow's mode {mode!r} does not have 8 bits per channel")
        width, height = image.size
        if width * height > PIXELS:
            raise ValueError(f"{width:,} × {height:,} pixels, more than {PIXELS:,} in all")
        if max(width, height) > ASPECT * min(width, height):
            raise ValueError(f"{width:,} × {height:,} pixels, sides of a ratio above {ASPECT}")
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            opaque = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        else:
            opaque = image
        # NumPy would hide an error in decoding.
        opaque.load()
        pixels = np.array(opaque if opaque.mode == "RGB" else opaque.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _strings(args: object) -> list[str]:
    """The strings among the arguments of one of Pillow's tiles: its raw mode, if it has one."""
    return [a for a in (args if isinstance(args, tuple) else (args,)) if isinstance(a, str)]
