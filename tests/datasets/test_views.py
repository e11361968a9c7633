"""Tests of the views against torchvision on Pillow's images, and against its random crops."""

import io
import math
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import ks_2samp
from torchvision import transforms
from torchvision.transforms import functional

from tests.datasets.trees import photo
from xbmlib.datasets.encoded import decode
from xbmlib.datasets.views import DRAWS, VIEWS, random_box

# Pillow and torch round the same sums, each in its own place.
LEVEL = 1


def pixels(image):
    """(3, H, W) uint8 of a Pillow image."""
    return functional.pil_to_tensor(image)


def apart(a, b):
    """Largest difference in levels."""
    assert a.shape == b.shape and a.dtype == b.dtype == torch.uint8
    return int((a.int() - b.int()).abs().max())


@pytest.mark.parametrize("size", [(600, 600), (500, 313), (200, 300), (256, 256), (30, 700)])
@pytest.mark.parametrize("name", VIEWS)
def test_the_test_view_is_torchvisions(name, size):
    """Oracle: torchvision's Resize and CenterCrop on Pillow, as the released code composes them."""
    resize, crop = {
        "paper": ((256, 256), 224),
        "released": (256, 224),
        "released_ms": (256, 227),
    }[name]
    image = photo(1, 2, size)
    wanted = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(crop)])(image)
    assert apart(VIEWS[name].test(pixels(image)), pixels(wanted)) <= LEVEL


def test_the_papers_training_view_shows_every_place_and_both_sides():
    """Oracle: an image whose pixels state their place: each of 33 × 33 places, as often flipped."""
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    image = torch.stack([rows, columns, columns]).to(torch.uint8)
    u = torch.rand(2000, DRAWS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tops, lefts, flips = set(), set(), 0
    for draws in u:
        seen = VIEWS["paper"].train(image, draws).int()
        assert seen.shape == (3, 224, 224)
        flipped = bool(seen[1, 0, 0] > seen[1, 0, 1])
        flips += flipped
        seen = seen.flip(2) if flipped else seen
        top, left = int(seen[0, 0, 0]), int(seen[1, 0, 0])
        assert torch.equal(seen, image[:, top : top + 224, left : left + 224].int())
        tops.add(top)
        lefts.add(left)
    assert tops == lefts == set(range(33))
    assert abs(flips - 1000) < 3 * math.sqrt(500)


@pytest.mark.parametrize("name", ["released", "released_ms"])
def test_the_released_training_view_is_torchvisions(name):
    """Oracle: torchvision's resized_crop on Pillow, at the place that the numbers give."""
    view, image = VIEWS[name], photo(3, 1, (450, 340))
    resized = functional.resize(image, 256)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        u = torch.rand(DRAWS, generator=generator, dtype=torch.float64)
        box = random_box(resized.height, resized.width, view.area, u.tolist())
        wanted = functional.resized_crop(resized, *box, [view.crop, view.crop])
        wanted = functional.hflip(wanted) if u[-1] < 0.5 else wanted
        assert apart(view.train(pixels(image), u), pixels(wanted)) <= 2 * LEVEL


@pytest.mark.parametrize(("height", "width"), [(256, 256), (256, 341), (256, 900)])
@pytest.mark.parametrize("area", [0.16, 0.2])
def test_random_boxes_are_sampled_as_torchvision_samples_them(height, width, area):
    """Oracle: torchvision's own samples; each number has the same distribution by a KS test."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    torch.manual_seed(0)
    get = transforms.RandomResizedCrop.get_params
    theirs = np.array([get(image, [area, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)])
    u = torch.rand(4000, DRAWS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours = np.array([random_box(height, width, area, draws) for draws in u.tolist()])
    for column in range(4):
        assert ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-3


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.floats(0.05, 1),
    st.integers(0, 2**32 - 1),
)
def test_random_boxes_lie_within(height, width, area, seed):
    """Oracle: the image's borders, whatever its shape."""
    u = torch.rand(DRAWS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    top, left, h, w = random_box(height, width, area, u.tolist())
    assert top >= 0 and top + h <= height and left >= 0 and left + w <= width


def encoded(image, how, **kept):
    """Bytes of a Pillow image in a format."""
    out = io.BytesIO()
    image.save(out, how, **kept)
    return out.getvalue()


def test_grey_is_copied_to_all_channels():
    """Oracle: the grey levels themselves; one bit is 0 or 255."""
    grey = photo(0, 0).convert("L")
    assert torch.equal(decode(encoded(grey, "PNG")), pixels(grey).expand(3, -1, -1))
    bits = grey.point(lambda level: 255 * (level > 99), "1")
    wanted = 255 * (pixels(grey) > 99).to(torch.uint8)
    assert torch.equal(decode(encoded(bits, "PNG")), wanted.expand(3, -1, -1))


def test_palettes_are_applied():
    """Oracle: the palette, by hand."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([1, 0])
    wanted = torch.tensor([[[40, 10]], [[50, 20]], [[60, 30]]], dtype=torch.uint8)
    assert torch.equal(decode(encoded(image, "PNG")), wanted)
    see_through = encoded(image, "PNG", transparency=0)
    assert decode(see_through)[:, 0].tolist() == [[40, 255], [50, 255], [60, 255]]


def test_transparency_is_composited_on_white():
    """Oracle: c · a + 255 · (1 - a), by hand, within rounding."""
    image = Image.new("RGBA", (3, 1))
    image.putdata([(200, 100, 0, 255), (200, 100, 0, 0), (200, 100, 0, 51)])
    seen = decode(encoded(image, "PNG"))
    wanted = torch.tensor([[200, 255, 244], [100, 255, 224], [0, 255, 204]], dtype=torch.uint8)
    assert apart(seen[:, 0], wanted) <= LEVEL
    grey = Image.new("LA", (2, 1))
    grey.putdata([(7, 255), (7, 0)])
    assert decode(encoded(grey, "PNG"))[:, 0].tolist() == [[7, 255]] * 3
    marked = encoded(Image.new("RGB", (1, 1), (9, 9, 9)), "PNG", transparency=(9, 9, 9))
    assert decode(marked).flatten().tolist() == [255] * 3


def test_cmyk_is_subtracted_from_white():
    """Oracle: (1 - c)(1 - k), by hand, within the compression."""
    image = Image.new("CMYK", (16, 16), (0, 128, 255, 51))
    wanted = torch.tensor([204, 102, 0])
    assert (decode(encoded(image, "JPEG", quality=100))[:, 8, 8] - wanted).abs().max() <= 3


def test_the_orientation_of_exif_is_not_applied():
    """Oracle: the shape of the image as it is stored."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(photo(0, 0, (40, 30)), "JPEG", exif=exif)).shape == (3, 30, 40)


def test_sixteen_bits_are_refused():
    """Oracle: Pillow would clip them to white."""
    image = Image.fromarray(np.full((4, 4), 30_000, np.uint16))
    with pytest.raises(ValueError, match="I;16.*8 bits"):
        decode(encoded(image, "PNG"))


def png(width, height, bits, colour, row):
    """A PNG by hand: its header, and one row of pixels."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, bits, 2 if colour else 0, 0, 0, 0)
    data = zlib.compress(b"\0" + row)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("colour", [False, True])
def test_sixteen_bits_are_refused_in_grey_and_in_colour(colour):
    """Oracle: PNG's specification, by which the file was written; Pillow opens it."""
    content = png(1, 1, 16, colour, b"\x12\x34" * (3 if colour else 1))
    Image.open(io.BytesIO(content)).load()
    with pytest.raises(ValueError, match="(I|RGB);16.*8 bits per channel"):
        decode(content)


@pytest.mark.parametrize(("how", "mode"), [("TIFF", "LAB"), ("TIFF", "F"), ("EPS", "RGB"),
                                           ("PPM", "RGB"), ("TGA", "RGB")])  # fmt: skip
def test_other_formats_are_refused(how, mode):
    """Oracle: Pillow itself, which writes and knows them; the formats that are read."""
    content = encoded(Image.new(mode, (4, 4)), how)
    assert Image.open(io.BytesIO(content)).format == how
    with pytest.raises(ValueError, match="no image that can be read as JPEG, PNG, WEBP, GIF, BMP"):
        decode(content)


@pytest.mark.parametrize("how", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_every_format_is_read(how):
    """Oracle: a white image is white in every format."""
    assert decode(encoded(Image.new("RGB", (8, 8), "white"), how)).min() >= 254


def test_pixels_and_sides_are_bounded():
    """Oracle: the bounds, by hand: 8,192 × 8,192 and 255 : 1 are read. What is beyond is refused
    before it is decoded: of one row of pixels, Pillow would say that the image is truncated.
    """
    for size in ((12_000, 12_000), (8192, 8193)):
        bomb = png(*size, 8, False, bytes(size[0]))
        with pytest.raises(ValueError, match=rf"{size[0]:,} × {size[1]:,} pixels, more than 67,10"):
            decode(bomb)
    for size in ((256, 1), (1, 256), (5, 1276)):
        with pytest.raises(ValueError, match="sides of a ratio above 255"):
            decode(encoded(Image.new("L", size), "PNG"))
    for size in ((255, 1), (1, 255), (5, 1275)):
        assert decode(encoded(Image.new("L", size), "PNG")).shape == (3, *size[::-1])
    assert decode(encoded(Image.new("1", (8192, 8192)), "PNG")).shape == (3, 8192, 8192)
