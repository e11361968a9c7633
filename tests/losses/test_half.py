"""Tests of scaled losses of half-precision embeddings: nothing overflows that fits float16."""

from functools import cache

import pytest
import torch
from torch.nn.functional import normalize

from tests.losses.oracle import brute_batch, case, each_setting
from xbmlib.losses import ContrastiveLoss
from xbmlib.queue import CrossBatchMemory
from xbmlib.xbm import XBM

SCALE = 65536.0  # of a new torch.amp.GradScaler; float16 ends at 65,504


@each_setting
@pytest.mark.parametrize("low", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("scale", [SCALE, SCALE / 3, 1 / SCALE], ids=str)
@pytest.mark.parametrize("against", ["batch", "memory"])
def test_scaled_gradients_round_once(kind, settings, low, scale, against):
    """Oracle: the float64 loops on the rounded embeddings, times the scale, rounded once."""
    anchors, labels, memory, memory_labels, own = case(dtype=low)
    if against == "batch":
        memory, memory_labels, own = anchors, labels, torch.arange(len(anchors))
    _, terms, weights, signs, grad = brute_batch(
        kind, settings, anchors, labels, memory, memory_labels, own
    )
    if against == "batch":
        grad = grad + (signs * weights).T @ anchors.double()
    wanted = grad / terms * scale
    assert wanted.abs().max() < torch.finfo(torch.float16).max
    z = anchors.clone().requires_grad_()
    rest = (memory, memory_labels) if against == "memory" else ()
    loss = kind(**settings, reduction="mean")
    (loss(z, labels, *rest, own=own if rest else None) * scale).backward()
    assert z.grad.dtype == low
    # Below its smallest normal number float16 rounds to multiples of 2^-24.
    floor = 2.0**-25 if low == torch.float16 else 0.0
    error = (z.grad.double() - wanted).abs()
    near = (error <= 0.51 * torch.finfo(low).eps * wanted.abs() + 1.01 * floor) | (
        # A sum that cancels keeps float32's error of its terms.
        error <= 1e-5 * wanted.abs().max()
    )
    assert near.all()


def reference(anchors, labels, entries, entry_labels, own):
    """The contrastive loss from every pair in float32, by autograd."""
    s = anchors @ entries.T
    same = labels[:, None] == entry_labels
    itself = own[:, None] == torch.arange(len(entries))
    positives = ((1 - s) * (same & ~itself)).sum()
    return (positives + (s * (~same & (s > 0.5))).sum()) / len(anchors)


def by_parts(memory):
    """README's loop from its parts."""
    loss = ContrastiveLoss(lam=0.5)

    def value(anchors, labels):
        own = memory.enqueue(anchors, labels)
        return loss(anchors, labels) + loss(anchors, labels, memory, own=own)

    return value


def by_reference(memory):
    """The same with every pair listed."""

    def value(anchors, labels):
        own = memory.enqueue(anchors, labels)
        with torch.autocast("cpu", enabled=False):
            v, held = anchors.float(), memory.embeddings.clone()
            batch = reference(v, labels, v, labels, torch.arange(len(labels)))
            return batch + reference(v, labels, held, memory.labels, own)

    return value


def in_one_call(memory):
    """README's loop with everything in one call."""
    return XBM(ContrastiveLoss(lam=0.5), size=memory.size, dim=memory.dim, start=0)


@cache
def trained(make):
    """Which of 20 steps a gradient scaler skipped, and the weights after them."""
    torch.manual_seed(0)
    net = torch.nn.Linear(32, 8)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    scaler, skipped = torch.amp.GradScaler("cpu"), []
    value = make(CrossBatchMemory(size=1000, dim=8))
    for _ in range(20):
        x, labels = torch.randn(64, 32), torch.randint(0, 16, (64,))
        with torch.autocast("cpu", torch.float16):
            total = value(normalize(net(x)), labels)
        optimiser.zero_grad()
        before = scaler.get_scale()
        scaler.scale(total).backward()
        scaler.step(optimiser)
        scaler.update()
        skipped.append(scaler.get_scale() < before)
    return skipped, net.weight.detach()


@pytest.mark.parametrize("make", [by_parts, in_one_call])
def test_the_loop_of_the_readme_under_autocast(make):
    """Oracle: the same loop with every pair in float32 and autograd: the steps that it skips, and
    where it ends; README's loop from its parts, and in one call.
    """
    skipped, weight = trained(make)
    due, wanted = trained(by_reference)
    assert skipped == due
    torch.testing.assert_close(weight, wanted, atol=1e-3, rtol=0)
