"""Tests of products in bfloat16 on processors with and without instructions for them."""

import platform
from functools import partial

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from tests.losses.oracle import brute_batch, case, each_setting
from xbmlib import backbones, bfloat16
from xbmlib.training.build import build_memory
from xbmlib.training.experiment import Experiment
from xbmlib.training.ranks import Ranks

CPU = torch.device("cpu")
EPSILON = torch.finfo(torch.bfloat16).eps
# The layer, and the shapes of its input and its weight.
LAYERS = {
    "convolution": (partial(F.conv2d, stride=2, padding=1), (4, 3, 9, 9), (5, 3, 3, 3)),
    "linear": (F.linear, (4, 7), (5, 7)),
}


@pytest.fixture(params=["AVX2", "AVX512"])
def capability(request, monkeypatch):
    """Both kinds of processor; the numbers are to be right on either, whichever this one is."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)
    return request.param


@pytest.mark.parametrize(
    ("machine", "kind", "fast"),
    [("AMD64", "AVX2", False), ("x86_64", "AVX512", True), ("aarch64", "DEFAULT", True)],
)
def test_only_x86_processors_can_be_slow(monkeypatch, machine, kind, fast):
    """Oracle: by hand; on other processors, as on a GPU, autocast is torch's own."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: kind)
    assert bfloat16.is_fast(CPU) == fast and bfloat16.is_fast(torch.device("meta"))
    assert isinstance(bfloat16.autocast("cpu"), torch.autocast) == fast


def rounded(x):
    """Values and dtype as bfloat16 has them, in float64."""
    return x.bfloat16().double()


@pytest.mark.parametrize("layer", LAYERS)
def test_products_are_those_of_rounded_values(capability, layer):
    """Oracle: the layer and its gradients in float64, of values rounded to bfloat16."""
    apply, x_shape, w_shape = LAYERS[layer]
    torch.manual_seed(0)
    x, w, b = torch.randn(x_shape), torch.randn(w_shape), torch.randn(w_shape[0])
    given = [t.clone().requires_grad_() for t in (x, w, b)]
    with bfloat16.autocast(CPU):
        y = apply(*given)
    exact = [rounded(t).requires_grad_() for t in (x, w, b)]
    wanted = apply(*exact)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), wanted, rtol=EPSILON, atol=EPSILON)
    gradient = torch.randn(y.shape)
    y.backward(gradient.bfloat16())
    wanted.backward(rounded(gradient))
    for ours, theirs in zip(given, exact, strict=True):
        assert ours.grad.dtype == torch.float32
        torch.testing.assert_close(ours.grad, theirs.grad.float(), rtol=EPSILON, atol=4 * EPSILON)
        # Rounded, as a product in bfloat16 is, before it reaches the parameter.
        assert torch.equal(ours.grad, ours.grad.bfloat16().float())


def test_a_network_is_that_of_torch(monkeypatch):
    """Oracle: torch.autocast, which both kinds of processor run: embeddings and gradients."""
    torch.manual_seed(0)
    net, x = backbones.build("compact", 32), torch.rand(8, 1, 32, 32)
    target, found = F.normalize(torch.randn(8, 32)), []
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    for context in (bfloat16.autocast(CPU), torch.autocast("cpu", torch.bfloat16)):
        net.zero_grad()
        with context:
            v = net(x)
        (v * target).sum().backward()
        found.append((v.detach(), torch.cat([p.grad.flatten() for p in net.parameters()])))
    (v, gradient), (expected, expected_gradient) = found
    assert ((v * expected).sum(1) > 0.999).all()
    assert F.cosine_similarity(gradient, expected_gradient, dim=0) > 0.99


class Computed(TorchDispatchMode):
    """The types in which convolutions and matrix products are computed."""

    def __init__(self):
        super().__init__()
        self.types = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (torch.ops.aten.convolution, torch.ops.aten.addmm):
            self.types.append(args[0].dtype)
        return func(*args, **(kwargs or {}))


def test_where_products_are_slow_none_is_computed_in_bfloat16(capability):
    """Oracle: the types that reach the kernels of a network's convolutions and linear layer."""
    net, computed = backbones.build("compact", 32), Computed()
    with bfloat16.autocast(CPU), computed, torch.no_grad():
        net(torch.rand(2, 1, 32, 32))
    expected = {"AVX2": torch.float32, "AVX512": torch.bfloat16}[capability]
    assert len(computed.types) > 10 and {*computed.types} == {expected}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.int64])
def test_what_autocast_leaves_alone(capability, dtype):
    """Oracle: the layer without autocast: where it is off, as a whole or inside the block, and for
    what autocast does not round.
    """
    x, w = (torch.randn(shape).mul(9).to(dtype) for shape in ((4, 7), (5, 7)))
    plain = F.linear(x, w)
    with bfloat16.autocast(CPU, enabled=False):
        assert torch.equal(F.linear(x, w), plain)
    with bfloat16.autocast(CPU):
        with torch.autocast("cpu", enabled=False):
            assert torch.equal(F.linear(x, w), plain)
        if dtype != torch.float32:
            assert torch.equal(F.linear(x, w), plain)


def test_another_type_of_autocast_inside(capability):
    """Oracle: the type that the inner block states."""
    with bfloat16.autocast(CPU), torch.autocast("cpu", torch.float16):
        assert F.linear(torch.randn(4, 7), torch.randn(5, 7)).dtype == torch.float16


def test_a_memory_has_a_shadow_where_it_is_read(capability):
    """Oracle: a copy in bfloat16 is made where products with it are fast."""
    e = Experiment(batch=16, ratio=1.0)
    memory = build_memory(e, 100, CPU, Ranks())
    assert (memory.shadow is not None) == (capability == "AVX512")


@each_setting
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_losses_are_the_same_on_both(capability, kind, settings, dtype):
    """Oracle: the loops over all pairs; the memory is searched in bfloat16, or in its own type."""
    anchors, labels, memory, memory_labels, own = case(size=400, classes=40, dtype=torch.float32)
    memory = memory.to(dtype)
    shadow = (memory.bfloat16(), torch.tensor(1.02)) if dtype == torch.float32 else None
    total, *_, grad = brute_batch(kind, settings, anchors, labels, memory, memory_labels, own)
    z = anchors.clone().requires_grad_()
    loss = kind(**settings)(z, labels, memory, memory_labels, own=own, shadow=shadow)
    loss.backward()
    m = len(anchors)
    assert loss.item() == pytest.approx(total / m, rel=1e-5)
    torch.testing.assert_close(z.grad.double(), grad / m, rtol=1e-4, atol=1e-5)
