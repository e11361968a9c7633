"""Tests of the batch transforms against a ramp, whose crops are known."""

import torch

from xbmlib.datasets.transforms import random_resized_crop, to_float


def crop(images, area, seed=0):
    return random_resized_crop(images, area, torch.Generator().manual_seed(seed))


def test_to_float():
    """Oracle: division by 255."""
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    torch.testing.assert_close(to_float(images).flatten(), torch.arange(256) / 255)


def test_no_crop():
    """Oracle: identity."""
    images = torch.rand(3, 1, 8, 8)
    assert crop(images, 1) is images


def test_crop_of_a_ramp_is_a_ramp():
    """Oracle: a crop of a linear ramp is a linear ramp of the crop's width.

    So its slope is the crop's share of the side, within the stated ranges, and its values
    stay within the image's.
    """
    n, side = 400, 32
    ramp = torch.arange(side).float()
    across = ramp.expand(n, 1, side, side)
    both = torch.cat([across, across.transpose(2, 3)], 1)
    out = crop(both, 0.5)
    inner = out[:, :, 4:-4, 4:-4]
    width = inner[:, 0].diff(dim=2)
    height = inner[:, 1].diff(dim=1)
    for slope in (width, height):
        # One slope over the whole crop.
        assert (slope.amax((1, 2)) - slope.amin((1, 2))).max() < 1e-3
    width, height = width.mean((1, 2)), height.mean((1, 2))
    assert width.max() <= 1 + 1e-4 and height.max() <= 1 + 1e-4
    area = width * height
    assert area.max() <= 1 + 1e-4
    uncut = (width < 1 - 1e-4) & (height < 1 - 1e-4)
    assert area[uncut].min() >= 0.5 - 1e-3
    ratio = (width / height)[uncut]
    assert ratio.min() >= 3 / 4 - 1e-3 and ratio.max() <= 4 / 3 + 1e-3
    assert width.std() > 0.02 and height.std() > 0.02
    # All of the crop lies within the image: no background shows at its edges.
    assert out.min() >= 0 and (out[:, 0, :, 0] >= 0).all() and out.max() <= side - 1


def test_seeded():
    """Oracle: equality by seed; images are cropped apart from each other."""
    images = torch.rand(1, 1, 8, 8).expand(2, 1, 8, 8)
    assert torch.equal(crop(images, 0.5, 3), crop(images, 0.5, 3))
    assert not torch.equal(crop(images, 0.5, 3), crop(images, 0.5, 4))
    assert not torch.equal(*crop(images, 0.5, 3))
