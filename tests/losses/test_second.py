"""Tests of second derivatives: right where they are computed, refused where they are not."""

import pytest
import torch
from pytorch_metric_learning import losses as peers
from torch.nn.functional import normalize

from tests.losses.oracle import SETTINGS, case
from tests.losses.test_inputs import CountedNegatives
from xbmlib.losses import MetricLearningLoss

LOSSES = [kind(**settings) for kind, settings in SETTINGS[::2]]


def calls(loss, dtype=torch.float64):
    """The loss as a function of raw embeddings, within the batch and against a memory."""
    raw, labels, memory, memory_labels, own = case(dtype=dtype)
    return 3 * raw, [
        lambda x: loss(normalize(x), labels),
        lambda x: loss(normalize(x), labels, memory, memory_labels, own=own),
    ]


@pytest.mark.parametrize("loss", [*LOSSES, CountedNegatives()], ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("which", [0, 1], ids=["batch", "memory"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("scale", [False, True], ids=["constant", "learnt scale"])
def test_a_gradient_penalty_is_refused(loss, which, dtype, scale):
    """Oracle: the message. A closed-form gradient would count as a constant in the penalty."""
    raw, functions = calls(loss, dtype)
    x = raw.clone().requires_grad_()
    factor = torch.ones((), requires_grad=scale)
    with pytest.raises(RuntimeError, match=r"second derivatives are not supported: .* in closed"):
        torch.autograd.grad(factor * functions[which](x), x, create_graph=True)
    with pytest.raises(RuntimeError, match=f"gradient of {type(loss).__name__} "):
        functions[which](x).backward(create_graph=True)
    # First derivatives go on, those that keep their graph included.
    value = functions[which](x)
    (first,) = torch.autograd.grad(value, x, retain_graph=True)
    assert torch.equal(torch.autograd.grad(value, x)[0], first) and first.any()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("which", [0, 1], ids=["batch", "memory"])
def test_a_compiled_gradient_penalty_is_refused(loss, which):
    """Oracle: the message, where the compiler runs the graph itself; first derivatives go on."""
    torch._dynamo.reset()
    raw, functions = calls(loss, torch.float32)
    compiled = torch.compile(functions[which], backend="eager")
    x = raw.clone().requires_grad_()
    with pytest.raises(RuntimeError, match=r"second derivatives are not supported"):
        torch.autograd.grad(compiled(x), x, create_graph=True)
    (wanted,) = torch.autograd.grad(functions[which](x), x)
    assert torch.equal(torch.autograd.grad(compiled(x), x)[0], wanted) and wanted.any()


@pytest.mark.parametrize("make", [peers.ContrastiveLoss, peers.MultiSimilarityLoss])
@pytest.mark.parametrize("which", [0, 1], ids=["batch", "memory"])
def test_what_the_message_recommends_is_right(make, which):
    """Oracle: central differences of the squared norm of the first derivative."""
    raw, functions = calls(MetricLearningLoss(make()))

    def penalty(x, create_graph):
        (grad,) = torch.autograd.grad(functions[which](x), x, create_graph=create_graph)
        return grad.square().sum()

    x = raw.clone().requires_grad_()
    penalty(x, True).backward()
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        d = torch.randn(raw.shape, generator=generator, dtype=raw.dtype)
        ahead, behind = (
            penalty((raw + sign * 1e-6 * d).requires_grad_(), False).item() for sign in (1, -1)
        )
        wanted = (ahead - behind) / 2e-6
        assert (x.grad * d).sum().item() == pytest.approx(wanted, rel=1e-4)
