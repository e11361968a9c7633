"""Tests of the embedders: shapes, counts by hand, weights from files."""

import os
import pickle

import pytest
import torch
from torchvision import models

from xbmlib.backbones import WeightsError, build, save_trunk

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


@pytest.mark.parametrize("name", ["googlenet", "resnet50"])
def test_equals_torchvision(name, tmp_path):
    """Oracle: torchvision's own network with the same weights, its classifier as the head."""
    torch.manual_seed(0)
    extra = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    theirs = models.get_model(name, weights=None, **extra).eval()
    path = tmp_path / "classifier.pth"
    torch.save(theirs.state_dict(), path)
    ours = build(name, 1000, str(path)).eval()
    ours.head.load_state_dict(theirs.fc.state_dict())
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), torch.nn.functional.normalize(theirs(x)))


def test_saved_trunk_round_trip(tmp_path):
    """Oracle: equal tensors, batch-norm statistics included."""
    first = build("compact", 4)
    first(torch.rand(8, 1, 32, 32))
    save_trunk(first.trunk, tmp_path / "t.safetensors")
    second = build("compact", 9, str(tmp_path / "t.safetensors"))
    for key, value in first.trunk.state_dict().items():
        assert torch.equal(second.trunk.state_dict()[key], value)
    assert [p.name for p in tmp_path.iterdir()] == ["t.safetensors"]


def test_shipped_weights():
    """Oracle: they load, differ from random ones, and stay under 6 MB."""
    from xbmlib.backbones.weights import SHIPPED

    path = SHIPPED["compact", "scripts"]
    assert path.stat().st_size < 6e6
    torch.manual_seed(0)
    plain = build("compact", 4)
    torch.manual_seed(0)
    trained = build("compact", 4, "scripts")
    assert torch.equal(plain.head.weight, trained.head.weight)
    assert not torch.equal(plain.trunk[0][0].weight, trained.trunk[0][0].weight)


class Code:
    """What unpickling would run."""

    def __reduce__(self):
        return os.system, ("exit 3",)


def test_code_is_not_unpickled(tmp_path):
    """Oracle: a pickle that would run a command is refused."""
    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(Code()))
    with pytest.raises(WeightsError, match="evil.pt"):
        build("compact", 4, str(path))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda d: build("vgg", 4), "vgg.*compact, googlenet, resnet50"),
        (lambda d: build("compact", 0), "dim=0"),
        (lambda d: build("compact", 4, pooling="mean"), "pooling='mean'"),
        (lambda d: build("compact", 4, "imagenet"), "imagenet.*scripts"),
        (lambda d: build("resnet50", 4, "IMAGENET"), "IMAGENET"),
        (lambda d: build("compact", 4, str(d / "none.pt")), "none.pt.*no such file"),
        (lambda d: build("resnet50", 4, str(d / "t.safetensors")), "missing.*unexpected"),
        (lambda d: build("compact", 4, str(d / "broken.safetensors")), "broken.safetensors"),
    ],
)
def test_bad_values(call, told, tmp_path):
    """Oracle: the message names the value or the file, and what is wrong."""
    save_trunk(build("compact", 4).trunk, tmp_path / "t.safetensors")
    whole = (tmp_path / "t.safetensors").read_bytes()
    (tmp_path / "broken.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=told):
        call(tmp_path)
