"""Views: the crops of a photograph that a network is trained and tested on.

Pixels stay uint8 here; a backbone normalises them on the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

from torch import Tensor

from xbmlib.extras import require

# torchvision's: random crops tried before a central one is used, and their range of aspect ratios.
TRIES = 10
RATIO = (3 / 4, 4 / 3)
# Uniform numbers for one training view: area and ratio of each try, position (2), flip.
DRAWS = 2 * TRIES + 3


@dataclass(frozen=True)
class View:
    """One way to resize and crop photographs, bilinear and antialiased throughout.

    Attributes:
        name: of the view.
        source: the paper's section, or the code, that states it.
        resize: (256,) for the shorter side, the other in proportion; (256, 256) for both.
        crop: side of the crop, in pixels.
        area: smallest fraction of the area in a random-resized crop; None for a random crop of
            side ``crop``.
    """

    name: str
    source: str
    resize: tuple[int, ...]
    crop: int
    area: float | None = None

    def resized(self, image: Tensor) -> Tensor:
        """The image (3, H, W) uint8 at the size to crop from."""
        return _transforms().resize(image, list(self.resize), antialias=True)

    def test(self, image: Tensor) -> Tensor:
        """The central crop, (3, crop, crop) uint8, of an image (3, H, W) uint8."""
        return _transforms().center_crop(self.resized(image), [self.crop, self.crop])

    def train(self, image: Tensor, u: Tensor) -> Tensor:
        """A random crop, flipped or not, (3, crop, crop) uint8.

        Args:
            image: (3, H, W) uint8.
            u: (DRAWS,) uniform in [0, 1), of this image alone, so that its crop does not depend on
                the rest of the batch.
        """
        F, image, draws = _transforms(), self.resized(image), u.tolist()
        height, width = image.shape[1:]
        if self.area is None:
            image = F.crop(image, *_place(height, width, self.crop, self.crop, draws))
        else:
            side = [self.crop, self.crop]
            box = random_box(height, width, self.area, draws)
            image = F.resized_crop(image, *box, side, antialias=True)
        return F.horizontal_flip(image) if draws[-1] < 0.5 else image


def _transforms() -> ModuleType:
    """torchvision's, imported when a photograph is read: it takes longer than all else here."""
    return require("torchvision.transforms.v2.functional", extra="study")


def random_box(
    height: int, width: int, area: float, draws: list[float]
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random-resized crop, as torchvision samples them.

    Its fraction of the area is uniform in [area, 1], the logarithm of its aspect ratio uniform
    between those of 3/4 and 4/3. A crop that does not fit is sampled again; after ten that do not,
    the largest central crop with a ratio in that range is used.

    Args:
        height: of the image, in pixels.
        width: of the image.
        area: smallest fraction of the area, in (0, 1].
        draws: ``DRAWS`` numbers, uniform in [0, 1).
    """
    low, high = (math.log(ratio) for ratio in RATIO)
    for i in range(TRIES):
        size = height * width * (area + (1 - area) * draws[2 * i])
        ratio = math.exp(low + (high - low) * draws[2 * i + 1])
        w, h = round(math.sqrt(size * ratio)), round(math.sqrt(size / ratio))
        if 0 < w <= width and 0 < h <= height:
            return _place(height, width, h, w, draws)
    w = min(width, round(height * RATIO[1]))
    h = min(height, round(width / RATIO[0]))
    return (height - h) // 2, (width - w) // 2, h, w


def _place(
    height: int, width: int, h: int, w: int, draws: list[float]
) -> tuple[int, int, int, int]:
    """A box of height h and width w at a position uniform within the image."""
    return int(draws[-3] * (height - h + 1)), int(draws[-2] * (width - w + 1)), h, w


VIEWS = {
    view.name: view
    for view in (
        View("paper", "XBM, Section 4.1", (256, 256), 224),
        View(
            "released",
            "msight-tech/research-xbm (82f603a), ret_benchmark/config/defaults.py; the same in "
            "PaddlePaddle/PaddleClas, ppcls/configs/metric_learning/xbm.yaml",
            (256,),
            224,
            0.2,
        ),
        View(
            "released_ms",
            "msight-tech/research-ms-loss (8290973), ret_benchmark/config/defaults.py",
            (256,),
            227,
            0.16,
        ),
    )
}
