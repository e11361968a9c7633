"""Tests of the normalisations, each on colours worked out by hand."""

import pytest
import torch
from safetensors.torch import load_file
from torchvision.transforms.functional import normalize

from xbmlib.backbones import BACKBONES, build
from xbmlib.backbones.inputs import caffe, imagenet, symmetric
from xbmlib.backbones.weights import SHIPPED


def colours(*rgb):
    """Images (1, 3, 1, n) of n colours in [0, 255], as floats in [0, 1]."""
    return torch.tensor(rgb).T.reshape(1, 3, 1, -1) / 255


def test_caffe():
    """Oracle: by hand: blue 104, green 117, red 128 is 0; each other value is minus its mean."""
    found = caffe()(colours((128, 117, 104), (255, 0, 10)))
    wanted = torch.tensor([[0.0, -94], [0, -117], [0, 127]]).view(1, 3, 1, 2)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_symmetric():
    """Oracle: by hand: black is -1, white is 1."""
    found = symmetric()(colours((0, 0, 0), (255, 255, 255), (0, 127.5, 255)))
    wanted = torch.tensor([[-1.0, 1, -1], [-1, 1, 0], [-1, 1, 1]]).view(1, 3, 1, 3)
    torch.testing.assert_close(found, wanted)


def test_imagenet():
    """Oracle: torchvision's own transform."""
    x = torch.rand(2, 3, 4, 5)
    wanted = normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(imagenet()(x), wanted)


@pytest.mark.parametrize("name", BACKBONES)
def test_normalisation_is_no_part_of_the_weights(name):
    """Oracle: a state dict holds a trunk and a head; the compact net's trunk is the file's."""
    model = build(name, 4)
    keys = model.state_dict().keys()
    assert {key.split(".")[0] for key in keys} == {"trunk", "head"}
    if name == "compact":
        assert model.trunk.state_dict().keys() == load_file(SHIPPED["compact", "scripts"]).keys()
        x = torch.rand(2, 1, 32, 32)
        assert model.normalise(x) is x


@pytest.mark.parametrize("make", [caffe, symmetric, imagenet])
def test_memory_format_and_gradient_pass_through(make):
    """Oracle: channels-last stays; the gradient of the sum is 1 / std for each channel."""
    module = make()
    x = torch.rand(2, 3, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = module(x)
    assert out.is_contiguous(memory_format=torch.channels_last)
    out.sum().backward()
    std = module.std.flip(0) if module.bgr else module.std
    torch.testing.assert_close(x.grad, (1 / std).expand_as(x))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), r"uint8: give.*\[0, 1\]"),
        (torch.zeros(1, 1, 4, 4), r"\(1, 1, 4, 4\).*give \(B, 3, H, W\)"),
        (torch.zeros(3, 4, 4), r"\(3, 4, 4\) of"),
    ],
)
def test_bad_images(images, message):
    """Oracle: the message names shape and type."""
    with pytest.raises(ValueError, match=message):
        imagenet()(images)
