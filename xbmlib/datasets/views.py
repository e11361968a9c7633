"""Views: how a photograph becomes what a network sees, in training and in testing.

Pixels stay uint8 here; a backbone normalises them on the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torchvision.transforms.v2 import functional as F

# torchvision's: crops tried before a central one is taken, and the range of their side ratio.
TRIES = 10
RATIO = (3 / 4, 4 / 3)
# Uniform numbers that one training view takes: area and ratio of each try, place, flip.
DRAWS = 2 * TRIES + 3


@dataclass(frozen=True)
class View:
    """One way to see photographs, bilinear and antialiased throughout.

    Attributes:
        name: of the view.
        source: where it stands.
        resize: (256,) for the shorter side, the other in proportion; (256, 256) for both.
        crop: side of what comes out, in pixels.
        area: smallest share of the area of a random-resized crop; None for a crop of the side
            ``crop`` at a random place.
    """

    name: str
    source: str
    resize: tuple[int, ...]
    crop: int
    area: float | None = None

    def resized(self, image: Tensor) -> Tensor:
        """The image (3, H, W) uint8 at the size that crops are taken from."""
        return F.resize(image, list(self.resize), antialias=True)

    def test(self, image: Tensor) -> Tensor:
        """The centre, (3, crop, crop) uint8, of an image (3, H, W) uint8."""
        return F.center_crop(self.resized(image), [self.crop, self.crop])

    def train(self, image: Tensor, u: Tensor) -> Tensor:
        """A random crop, flipped or not, (3, crop, crop) uint8.

        Args:
            image: (3, H, W) uint8.
            u: (DRAWS,) uniform in [0, 1), this image's own: what it looks like depends on no other
                image.
        """
        image, draws = self.resized(image), u.tolist()
        height, width = image.shape[1:]
        if self.area is None:
            image = F.crop(image, *_place(height, width, self.crop, self.crop, draws))
        else:
            side = [self.crop, self.crop]
            box = random_box(height, width, self.area, draws)
            image = F.resized_crop(image, *box, side, antialias=True)
        return F.horizontal_flip(image) if draws[-1] < 0.5 else image


def random_box(
    height: int, width: int, area: float, draws: list[float]
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random-resized crop, as torchvision draws them.

    Its share of the area is uniform in [area, 1], the logarithm of its side ratio uniform between
    those of 3/4 and 4/3. What does not fit is drawn again, ten times at most; then it is the
    largest central crop whose ratio is in that range.
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
    """A box of these sides at any place within the image, each as likely."""
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
