"""Tests of the paper's three networks at its size, 224 × 224, from files of their public layouts.

Weights are filled by a formula, so that no generator's version matters.
"""

import pytest
import torch
from torch.nn import functional as F
from torchvision import models

from xbmlib.backbones import WeightsError, build

IMAGENET = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
# Of the public BN-Inception: outputs of each block's convolutions in the order of its file, that
# is 1×1; 3×3 reduce, 3×3; double 3×3 reduce, 1, 2; projection of the pooled input.
BLOCKS = {
    "3a": [64, 64, 64, 64, 96, 96, 32],
    "3b": [64, 64, 96, 64, 96, 96, 64],
    "3c": [None, 128, 160, 64, 96, 96, None],
    "4a": [224, 64, 96, 96, 128, 128, 128],
    "4b": [192, 96, 128, 96, 128, 128, 128],
    "4c": [160, 128, 160, 128, 160, 160, 128],
    "4d": [96, 128, 192, 160, 192, 192, 128],
    "4e": [None, 128, 192, 192, 256, 256, None],
    "5a": [352, 192, 320, 160, 224, 224, 128],
    "5b": [352, 192, 320, 192, 224, 224, 128],
}
BN = ("weight", "bias", "running_mean", "running_var")
BRANCHES = (
    ["1x1"],
    ["3x3_reduce", "3x3"],
    ["double_3x3_reduce", "double_3x3_1", "double_3x3_2"],
    ["pool_proj"],
)


def noise(shape, salt):
    """In [-1, 1), by a formula: digits of a sine."""
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.float64) + 1000 * salt
    return ((43758.5453 * torch.sin(12.9898 * i)).frac()).view(shape).float()


def fill(state):
    """Weights that preserve the scale of activations; statistics near 0 and 1."""
    for salt, (key, value) in enumerate(state.items()):
        if key.endswith("var") or (key.endswith("weight") and value.ndim == 1):
            value.copy_(1 + 0.5 * noise(value.shape, salt))
        elif key.endswith("weight"):
            value.copy_((6 / value[0].numel()) ** 0.5 * noise(value.shape, salt))
        elif value.is_floating_point():
            value.copy_(0.2 * noise(value.shape, salt))
    return state


def bninception_state():
    """The public file's keys and shapes, its classifier's too; no counts of batches."""
    layers = [
        ("conv1_7x7_s2", 3, 64, 7), ("conv2_3x3_reduce", 64, 64, 1), ("conv2_3x3", 64, 192, 3),
    ]  # fmt: skip
    wide = 192
    for name, outs in BLOCKS.items():
        outs, total = list(outs), 0
        for branch in BRANCHES:
            now = wide
            for layer in branch:
                out = outs.pop(0)
                if out:
                    side = 3 if "3x3" in layer and "reduce" not in layer else 1
                    layers.append((f"inception_{name}_{layer}", now, out, side))
                    now = out
            total += now if layer != "1x1" or out else 0
        wide = total
    state = {}
    for name, wide_in, out, side in layers:
        state[f"{name}.weight"] = torch.empty(out, wide_in, side, side)
        for key in BN:
            state[f"{name}_bn.{key}"] = torch.empty(out)
        state[f"{name}.bias"] = torch.empty(out)
    state["last_linear.weight"] = torch.empty(1000, wide)
    state["last_linear.bias"] = torch.empty(1000)
    return fill(state)


def bninception_maps(state, x):
    """Layer by layer on padded images: Caffe's sizes round up, so its pooling pads at the end."""

    def conv(x, name, stride=1):
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        around = (weight.shape[2] - 1) // 2
        x = F.conv2d(F.pad(x, [around] * 4), weight, bias, stride)
        bn = {k: state[f"{name}_bn.{k}"].view(-1, 1, 1) for k in BN}
        x = (x - bn["running_mean"]) / (bn["running_var"] + 1e-5).sqrt()
        return (x * bn["weight"] + bn["bias"]).clamp_min(0)

    def halve(x):
        return F.max_pool2d(F.pad(x, [0, 1, 0, 1], value=-torch.inf), 3, 2)

    x = x[:, [2, 1, 0]] * 255 - torch.tensor([104.0, 117, 128]).view(3, 1, 1)
    x = halve(conv(x, "conv1_7x7_s2", 2))
    x = halve(conv(conv(x, "conv2_3x3_reduce"), "conv2_3x3"))
    for name in (f"inception_{block}" for block in BLOCKS):
        last = 2 if name[-2:] in ("3c", "4e") else 1
        three = conv(conv(x, f"{name}_3x3_reduce"), f"{name}_3x3", last)
        double = conv(conv(x, f"{name}_double_3x3_reduce"), f"{name}_double_3x3_1")
        double = conv(double, f"{name}_double_3x3_2", last)
        if last == 2:
            x = torch.cat((three, double, halve(x)), 1)
            continue
        if name.endswith("5b"):
            pooled = F.max_pool2d(F.pad(x, [1] * 4, value=-torch.inf), 3, 1)
        else:
            pooled = F.pad(x, [1] * 4).unfold(2, 3, 1).unfold(3, 3, 1).mean((4, 5))
        x = torch.cat((conv(x, f"{name}_1x1"), three, double, conv(pooled, f"{name}_pool_proj")), 1)
    return x


def public(name):
    """A state dict of the public layout, and the maps that its network makes of images."""
    if name == "bninception":
        state = bninception_state()
        return state, lambda x: bninception_maps(state, x)
    extra = {"googlenet": {"aux_logits": True, "transform_input": True, "init_weights": False}}
    net = models.get_model(name, weights=None, **extra.get(name, {})).eval()
    found = []
    last = net.inception5b if name == "googlenet" else net.layer4
    last.register_forward_hook(lambda module, given, out: found.append(out))

    def maps(x):
        net((x - IMAGENET[0]) / IMAGENET[1])
        return found.pop()

    return fill(net.state_dict()), maps


@pytest.mark.parametrize(
    ("name", "classifier", "features", "published"),
    [
        # torchvision's documented totals; GoogLeNet's is without auxiliary heads.
        ("googlenet", "fc", 1024, 6_624_904),
        ("resnet50", "fc", 2048, 25_557_032),
        # Of the public file, as reported by those who converted it.
        ("bninception", "last_linear", 1024, 11_295_240),
    ],
)
@torch.no_grad()
def test_from_a_file_of_the_public_layout(name, classifier, features, published, tmp_path):
    """Oracle: torchvision's network on normalised images; BN-Inception layer by layer.

    The file holds the classifier (and auxiliary heads) too: the first serves as the head.
    """
    state, theirs = public(name)
    torch.save(state, tmp_path / "public.pth")
    ours = build(name, 1000, str(tmp_path / "public.pth")).eval()
    head = {k: state[f"{classifier}.{k}"] for k in ("weight", "bias")}
    ours.head.load_state_dict(head)
    assert sum(p.numel() for p in ours.parameters()) == published
    found = []
    ours.trunk.register_forward_hook(lambda module, given, out: found.append(out))
    x = (noise((1, 3, 224, 224), 7) + 1) / 2
    v, maps = ours(x), theirs(x)
    assert maps.shape == (1, features, 7, 7)
    # Neither dead nor constant: maps vary over positions nearly as much as over channels.
    assert maps.std((2, 3)).mean() > 0.1 * maps.std()
    torch.testing.assert_close(found[0] / maps.std(), maps / maps.std(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(v, F.normalize(F.linear(maps.mean((2, 3)), **head)))


def test_older_files_of_bninception(tmp_path):
    """Oracle: the same weights in today's shapes; older files have batch norms of (1, C)."""
    state = bninception_state()
    old = {k: v[None] if "_bn." in k else v for k, v in state.items()}
    torch.save(old, tmp_path / "old.pth")
    loaded = build("bninception", 4, str(tmp_path / "old.pth")).trunk.state_dict()
    found = {k: v for k, v in loaded.items() if not k.endswith("num_batches_tracked")}
    wanted = {k: v for k, v in state.items() if not k.startswith("last_linear")}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[k], wanted[k]) for k in wanted)
    torch.save(old | {"conv1_7x7_s2_bn.bias": torch.zeros(1, 65)}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=r"bad.pth.*another shape: conv1_7x7_s2_bn.bias"):
        build("bninception", 4, str(tmp_path / "bad.pth"))


@torch.no_grad()
def test_sides_that_bninception_takes():
    """Oracle: every side tried; the halving branches of 3c and 4e must agree in size.

    By hand: a convolution makes ceil(s / 2) of s, the pooling of a halving floor(s / 2).
    """
    trunk = build("bninception", 4).eval().trunk
    for side in range(31, 97):
        s = (side + 1) // 2 // 2 // 2
        if s % 2 == 0 and (s // 2) % 2 == 0:
            if side in (31, 38, 63, 95):
                assert trunk(torch.zeros(1, 3, side, 64)).shape[2:] == (s // 4, 2)
            continue
        with pytest.raises(ValueError, match=f"64 × {side} pixels.*224 or 227"):
            trunk(torch.zeros(1, 3, 64, side))
