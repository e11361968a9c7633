"""Tests of the embedders: shapes, counts by hand, norms."""

import pytest
import torch

from xbmlib.backbones import build
from xbmlib.backbones.compact import Block, Compact

SHAPES = {
    "compact": (1, 32, 32),
    "googlenet": (3, 64, 64),
    "bninception": (3, 64, 64),
    "resnet50": (3, 64, 64),
}
FEATURES = {"compact": 256, "googlenet": 1024, "bninception": 1024, "resnet50": 2048}


def compact_parameters():
    """By hand: 5×5 stem, then blocks of two 3×3 convolutions and a 1×1 shortcut; 2 per channel
    of a normalisation.
    """
    count = 25 * 32 + 2 * 32
    for wide_in, wide in ((32, 32), (32, 64), (64, 128), (128, 256)):
        count += 9 * wide_in * wide + 9 * wide * wide + 4 * wide
        if wide_in != wide:
            count += wide_in * wide + 2 * wide
    return count


def test_compact_parameters():
    """Oracle: arithmetic. The paper's networks are counted in test_paper_networks.py."""
    model = build("compact", 10)
    assert sum(p.numel() for p in model.trunk.parameters()) == compact_parameters()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("dim", "pooling"), [(64, "avg"), (128, "max"), (512, "avg")])
def test_unit_vectors_in_float32(name, dim, pooling):
    """Oracle: the norm, under autocast and channels-last; the head's size by hand."""
    model = build(name, dim, pooling=pooling).to(memory_format=torch.channels_last)
    assert sum(p.numel() for p in model.head.parameters()) == dim * FEATURES[name] + dim
    x = torch.rand(3, *SHAPES[name]).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        v = model(x)
    assert v.shape == (3, dim) and v.dtype == torch.float32
    torch.testing.assert_close(v.norm(dim=1), torch.ones(3))


def test_head_is_kaiming_normal():
    """Oracle: He et al. 2015: variance 2 / D by fan-out, mean 0; no bias."""
    torch.manual_seed(0)
    head = build("compact", 512).head
    assert head.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert abs(head.weight.mean().item()) < 1e-3
    assert not head.bias.any()


@pytest.mark.parametrize("name", SHAPES)
def test_pooling_is_what_it_says(name):
    """Oracle: average and maximum of the trunk's own maps."""
    model = build(name, 5).eval()
    x = torch.rand(2, *SHAPES[name])
    with torch.no_grad():
        maps = model.trunk(model.normalise(x))
        for pooling, pooled in (("avg", maps.mean((2, 3))), ("max", maps.amax((2, 3)))):
            model.pooling = pooling
            wanted = torch.nn.functional.normalize(model.head(pooled))
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
    ("call", "message"),
    [
        (lambda: build("vgg", 4), "vgg.*compact, googlenet, bninception, resnet50"),
        (lambda: build("compact", 0), "dim=0"),
        (lambda: build("compact", 4, pooling="mean"), "pooling='mean'"),
    ],
)
def test_bad_values(call, message):
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match=message):
        call()


def test_three_channels_from_weights_of_one():
    """Oracle: the network of one channel, on the same grey image three times."""
    one, three = (build("compact", 7, "scripts", channels=c).eval() for c in (1, 3))
    three.head.load_state_dict(one.head.state_dict())
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(three(x.expand(-1, 3, -1, -1)), one(x))
    with pytest.raises(ValueError, match="channels=1: googlenet takes images of 3"):
        build("googlenet", 7, channels=1)


def state(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


@pytest.mark.parametrize("name", SHAPES)
def test_frozen_batch_norm_through_a_step(name):
    """Oracle: equal bits of all parameters and statistics of batch norms, and no gradient.

    In the same step of a network that is not frozen they all move. Weight decay is among what
    must not reach them.
    """
    for frozen in (True, False):
        torch.manual_seed(0)
        model = build(name, 8, freeze_bn=frozen).eval().train()
        norms = {
            f"{path}.{key}"
            for path, module in model.named_modules()
            if isinstance(module, torch.nn.BatchNorm2d)
            for key in module.state_dict()
        }
        before = state(model)
        optimiser = torch.optim.AdamW(model.parameters(), 0.1, weight_decay=0.1)
        model(torch.rand(2, *SHAPES[name]))[:, 0].sum().backward()
        none = {key for key, p in model.named_parameters() if p.grad is None}
        optimiser.step()
        still = {key for key, value in state(model).items() if torch.equal(value, before[key])}
        affine = {key for key in norms if key.endswith((".weight", ".bias"))}
        assert affine and none == (affine if frozen else set())
        assert still & norms == (norms if frozen else set())
        assert not still - norms


def test_freezing_later():
    """Oracle: in training mode each image is embedded alone, as in evaluation mode."""
    model = build("compact", 8, "scripts")
    keys = model.state_dict().keys()
    x = torch.rand(4, 1, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(model.train()(x)[:1], model(x[:1]))
        model.freeze_batch_norm()
        assert model.training and model.trunk.training
        torch.testing.assert_close(model(x)[:1], model(x[:1]))
        torch.testing.assert_close(model(x), model.eval()(x))
    assert model.state_dict().keys() == keys
