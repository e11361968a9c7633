"""Tests of the batch transforms against ramps, whose crops are known."""

import math

import pytest
import torch

from xbmlib.datasets.transforms import random_resized_crop, to_float

SIDE = 32


def crop(images, area, seed=0):
    """A crop by a fresh generator."""
    return random_resized_crop(images, area, torch.Generator().manual_seed(seed))


def ramps(n, height=SIDE, width=SIDE):
    """n times one image of two channels: each pixel's column, and its row."""
    columns, rows = torch.arange(width).float(), torch.arange(height).float()
    pixels = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)])
    return pixels.expand(n, 2, height, width)


def windows(out):
    """Size and corner (n,) of each crop along x, then y, in pixels, read off its ramps.

    Output pixel i of n shows the source at corner + size (i + 1/2) / n - 1/2: a slope and an
    offset, which two inner pixels give.
    """
    found = []
    for channel, axis in ((0, 2), (1, 1)):
        n = out.shape[axis + 1]
        line = out[:, channel].movedim(axis, 1)[:, :, out.shape[4 - axis] // 2]
        a, b = n // 4, 3 * n // 4
        size = (line[:, b] - line[:, a]) / (b - a) * n
        found.append((size, line[:, a] + 0.5 - size * (a + 0.5) / n))
    return found


def test_to_float():
    """Oracle: division by 255, in float32, of a copy."""
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    out = to_float(images)
    assert out.dtype == torch.float32 and out.min() == 0 and out.max() == 1
    torch.testing.assert_close(out.flatten(), torch.arange(256) / 255)
    assert images.flatten().tolist() == list(range(256))


def test_no_crop():
    """Oracle: identity."""
    images = torch.rand(3, 1, 8, 8)
    assert crop(images, 1) is images


def test_a_crop_nearly_whole():
    """Oracle: of an area of 1 only the shape cuts: one side whole, the other √(3/4) or more.

    Sizes are positive: no image is flipped.
    """
    out = crop(ramps(200), 1 - 1e-6)
    for size, corner in windows(out):
        assert size.min() >= math.sqrt(3 / 4) * SIDE - 1e-2 and size.max() <= SIDE + 1e-2
        assert corner.min() >= -1e-2
    # One side or the other is whole.
    (width, _), (height, _) = windows(out)
    assert (torch.maximum(width, height) >= SIDE - 1e-2).all()


def bilinear(image, x, y):
    """Value of an image between its pixels, in plain Python; nothing lies around it."""
    height, width = len(image), len(image[0])
    x0, y0, value = math.floor(x), math.floor(y), 0.0
    for i in (y0, y0 + 1):
        for j in (x0, x0 + 1):
            if 0 <= i < height and 0 <= j < width:
                value += image[i][j] * (1 - abs(x - j)) * (1 - abs(y - i))
    return value


@pytest.mark.parametrize("shape", [(16, 16), (12, 20)], ids=str)
def test_affine_map(shape):
    """Oracle: loops over pixels of a noise image, by the map that the same crop's ramps show.

    One map for all channels and the whole image, its edges included.
    """
    height, width = shape
    n = 6
    noise = torch.rand(n, 1, height, width, generator=torch.Generator().manual_seed(1))
    out = crop(torch.cat([ramps(n, height, width), noise], 1), 0.3)
    (w, left), (h, top) = windows(out)
    for i in range(n):
        image = noise[i, 0].tolist()
        for r in range(height):
            for c in range(width):
                x = float(left[i] + w[i] * (c + 0.5) / width - 0.5)
                y = float(top[i] + h[i] * (r + 0.5) / height - 0.5)
                assert float(out[i, 2, r, c]) == pytest.approx(bilinear(image, x, y), abs=1e-4)


def test_windows_lie_within_the_image():
    """Oracle: the docstring's ranges. Corners spread evenly over the room that a window has."""
    n = 2000
    (w, left), (h, top) = windows(crop(ramps(n), 0.5))
    tolerance = 1e-3 * SIDE
    places = []
    for size, corner in ((w, left), (h, top)):
        assert size.max() <= SIDE + tolerance
        assert corner.min() >= -tolerance and (corner + size).max() <= SIDE + tolerance
        room = SIDE - size
        places.append((corner / room)[room > 2])
        # Uniform in [0, 1]: mean 1/2, variance 1/12.
        assert places[-1].mean().item() == pytest.approx(0.5, abs=0.03)
        assert places[-1].var().item() == pytest.approx(1 / 12, abs=0.01)
        assert places[-1].min() < 0.02 and places[-1].max() > 0.98
    both = (SIDE - w > 2) & (SIDE - h > 2)
    x, y = (left / (SIDE - w))[both], (top / (SIDE - h))[both]
    assert abs(torch.corrcoef(torch.stack([x, y]))[0, 1]) < 0.1


def test_areas_and_shapes():
    """Oracle: the stated distributions. A window of an area below 3/4 fits in any shape, uncut.

    Of shares uniform in [1/4, 1] half of those below 3/4 are below 1/2; the logarithm of the
    side ratio is uniform in ± log 4/3, so of mean 0 and variance (2 log 4/3)² / 12.
    """
    (w, _), (h, _) = windows(crop(ramps(6000), 0.25))
    area, ratio = w * h / SIDE**2, (w / h).log()
    limit = math.log(4 / 3)
    assert area.min() >= 0.25 - 1e-3 and area.min() < 0.26 and area.max() <= 1 + 1e-3
    assert ratio.abs().max() <= limit + 1e-3
    uncut = area < 0.75
    assert uncut.float().mean().item() == pytest.approx(2 / 3, abs=0.03)
    assert (area[uncut] < 0.5).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert ratio[uncut].mean().item() == pytest.approx(0, abs=0.01)
    assert ratio[uncut].var().item() == pytest.approx((2 * limit) ** 2 / 12, rel=0.1)
    assert ratio[uncut].min() < -0.95 * limit and ratio[uncut].max() > 0.95 * limit
    assert abs(torch.corrcoef(torch.stack([area[uncut], ratio[uncut]]))[0, 1]) < 0.1


@pytest.mark.parametrize("area", [0.01, 0.3, 0.999])
def test_range_and_shape(area):
    """Oracle: an interpolation of values in [0, 1] and of a background of 0 stays in [0, 1]."""
    images = torch.rand(50, 3, 10, 14, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    out = crop(images, area)
    assert out.shape == images.shape and out.dtype == images.dtype
    assert out.min() >= 0 and out.max() <= 1 + 1e-6 and not out.isnan().any()
    assert torch.equal(images, before)
    # Of a constant image nothing but the rim can meet the background.
    flat = crop(torch.ones(50, 1, 10, 10), area)
    torch.testing.assert_close(flat[:, :, 1:-1, 1:-1], torch.ones(50, 1, 8, 8))


def test_seeded():
    """Oracle: equality by seed, without the global generator; images are cropped apart."""
    images = torch.rand(1, 1, 8, 8).expand(2, 1, 8, 8)
    state = torch.random.get_rng_state()
    first = crop(images, 0.5, 3)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(123)
    assert torch.equal(crop(images, 0.5, 3), first)
    torch.random.set_rng_state(state)
    assert not torch.equal(crop(images, 0.5, 4), first)
    assert not torch.equal(*first)
    # A generator goes on: the next batch is cropped elsewhere.
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(random_resized_crop(images, 0.5, generator), first)
    assert not torch.equal(random_resized_crop(images, 0.5, generator), first)
