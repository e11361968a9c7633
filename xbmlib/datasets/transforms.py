"""Image transforms on whole batches of tensors."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def to_float(images: Tensor) -> Tensor:
    """uint8 (B, C, H, W) to float32 in [0, 1]."""
    return images.float().div_(255)


def random_resized_crop(
    images: Tensor,
    area: float,
    generator: torch.Generator,
    *,
    batch: int | None = None,
    first: int = 0,
) -> Tensor:
    """A random crop of each image, resized to the size of the image.

    The aspect ratio is log-uniform in [3/4, 4/3], the area uniform in [area, 1] of the image's; a
    crop that would exceed the image is cut to it.

    Args:
        images: (B, C, H, W) float.
        area: smallest fraction of the image's area, in (0, 1]; 1 returns the images unchanged.
        generator: of the randomness, on the CPU.
        batch: m, where the images are a part of a batch of m: they get the crops that they have
            in the whole batch.
        first: index of the first of them in that batch.

    Returns:
        (B, C, H, W) float.
    """
    if area == 1:
        return images
    n = len(images)
    u = torch.rand(4, batch or n, generator=generator, device="cpu")[:, first : first + n]
    share = area + (1 - area) * u[0]
    root = ((2 * u[1] - 1) * torch.log(u.new_tensor(4 / 3)) / 2).exp()
    width = (share.sqrt() * root).clamp_max(1)
    height = (share.sqrt() / root).clamp_max(1)
    theta = u.new_zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = width, height
    theta[:, 0, 2] = (1 - width) * (2 * u[2] - 1)
    theta[:, 1, 2] = (1 - height) * (2 * u[3] - 1)
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
