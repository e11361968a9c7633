"""Tests of the embedders: shapes, counts by hand, norms."""

import pytest
import torch

from xbmlib.backbones import build
from xbmlib.backbones.compact import Block, Compact

SHAPES = {"compact": (1, 32, 32), "googlenet": (3, 64, 64), "resnet50": (3, 64, 64)}


def compact_parameters():
    """By hand: 5×5 stem, then blocks of two 3×3 convolutions and a 1×1 shortcut; 2 a norm."""
    count = 25 * 32 + 2 * 32
    for wide_in, wide in ((32, 32), (32, 64), (64, 128), (128, 256)):
        count += 9 * wide_in * wide + 9 * wide * wide + 4 * wide
        if wide_in != wide:
            count += wide_in * wide + 2 * wide
    return count


@pytest.mark.parametrize(
    ("name", "trunk"),
    [
        ("compact", compact_parameters()),
        # torchvision's documented totals, less their classifiers (and auxiliary heads).
        ("googlenet", 6_624_904 - 1024 * 1000 - 1000),
        ("resnet50", 25_557_032 - 2048 * 1000 - 1000),
    ],
)
def test_parameter_counts(name, trunk):
    """Oracle: arithmetic, and the totals that torchvision documents."""
    model = build(name, 10)
    features = {"compact": 256, "googlenet": 1024, "resnet50": 2048}[name]
    assert sum(p.numel() for p in model.trunk.parameters()) == trunk
    assert sum(p.numel() for p in model.head.parameters()) == 10 * features + 10


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_unit_vectors_in_float32(name, pooling):
    """Oracle: the norm, under autocast and channels-last."""
    model = build(name, 7, pooling=pooling).to(memory_format=torch.channels_last)
    x = torch.rand(3, *SHAPES[name]).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        v = model(x)
    assert v.shape == (3, 7) and v.dtype == torch.float32
    torch.testing.assert_close(v.norm(dim=1), torch.ones(3))


def test_head_is_kaiming_normal():
    """Oracle: He et al. 2015: variance 2 / D by fan-out, mean 0; no bias."""
    torch.manual_seed(0)
    head = build("compact", 512).head
    assert head.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert abs(head.weight.mean().item()) < 1e-3
    assert not head.bias.any()


def test_pooling_is_what_it_says():
    """Oracle: average and maximum of the trunk's own maps."""
    for pooling, over in (("avg", lambda m: m.mean((2, 3))), ("max", lambda m: m.amax((2, 3)))):
        model = build("compact", 5, pooling=pooling).eval()
        x = torch.rand(2, 1, 32, 32)
        with torch.no_grad():
            wanted = torch.nn.functional.normalize(model.head(over(model.trunk(x))))
            torch.testing.assert_close(model(x), wanted)


def test_compact_maps():
    """Oracle: by hand: 32 pixels, halved by the stem and by three of four blocks."""
    x = torch.rand(1, 1, 32, 32)
    sizes = []
    for part in Compact().eval():
        x = part(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(32, 16, 16), (32, 16, 16), (64, 8, 8), (128, 4, 4), (256, 2, 2)]


@pytest.mark.parametrize(("wide", "stride"), [(4, 1), (6, 2)])
def test_block_goes_around_its_convolutions(wide, stride):
    """Oracle: with the last normalisation's weight at 0 only the shortcut is left."""
    block = Block(4, wide, stride).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(block(x), block.shortcut(x).relu())
    assert stride > 1 or torch.equal(block.shortcut(x), x)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: build("vgg", 4), "vgg.*compact, googlenet, resnet50"),
        (lambda: build("compact", 0), "dim=0"),
        (lambda: build("compact", 4, pooling="mean"), "pooling='mean'"),
    ],
)
def test_bad_values(call, told):
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match=told):
        call()


def test_three_channels_from_weights_of_one():
    """Oracle: the network of one channel, on the same grey picture three times."""
    one, three = (build("compact", 7, "scripts", channels=c).eval() for c in (1, 3))
    three.head.load_state_dict(one.head.state_dict())
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(three(x.expand(-1, 3, -1, -1)), one(x))
    with pytest.raises(ValueError, match="channels=1: googlenet takes images of 3"):
        build("googlenet", 7, channels=1)
