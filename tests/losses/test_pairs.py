"""Tests of which pairs count: own entries, duplicates, strict bounds, none at all, and NaN."""

import copy
import math

import pytest
import torch

from tests.losses.oracle import (
    AXES,
    HALF,
    SETTINGS,
    brute_batch,
    case,
    each_loss,
    each_setting,
    value_and_gradient,
)
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, TripletLoss


@each_setting
def test_duplicates_are_pairs_and_only_own_entries_are_left_out(kind, settings):
    """Oracle: the loops. Peers drop whatever is more similar than 1 - 1e-5.

    The first anchor is in the memory three times: as its own entry, under its own label, and
    under another. Only its own entry is left out.
    """
    anchors, labels, memory, memory_labels, own = case(m=3, size=12, seed=2)
    others = [j for j in range(12) if j not in own.tolist()]
    memory[others[0]], memory_labels[others[0]] = anchors[0], labels[0]
    memory[others[1]], memory_labels[others[1]] = anchors[0], labels[0] + 1
    _, _, weights, *_ = brute_batch(kind, settings, anchors, labels, memory, memory_labels, own)
    found = kind(**settings).weights(anchors, labels, memory, memory_labels, own=own)
    torch.testing.assert_close(found, weights)
    assert found[0, own[0]] == 0 and found[0, others[0]] > 0 and found[0, others[1]] > 0


def test_duplicates_by_hand():
    """Oracle: Section 3.1. S = 1 to the last bit, one own entry, one positive, one negative.

    Contrastive: 1, 1. Triplet: one triplet of S_ij - S_ik + η = η. MS: the negative's
    e^{β/2} / (1 + e^{β/2}), the positive's e^{-α/2} / (1 + e^{-α/2}), for λ = 1/2.
    """
    v, same = AXES[:1], AXES[:1].expand(3, 4)
    labels = torch.tensor([3, 3, 5])
    wanted = {
        ContrastiveLoss: ([0.0, 1.0, 1.0], 1.0),
        TripletLoss: ([0.0, 1.0, 1.0], 0.1),
        MultiSimilarityLoss: (
            [0.0, 1 / (1 + math.e), 1 / (1 + math.exp(-20))],
            math.log1p(math.exp(20)) / 40 + math.log1p(math.exp(-1)) / 2,
        ),
    }
    for kind, (weights, value) in wanted.items():
        arguments = v, labels[:1], same, labels
        found = kind().weights(*arguments, own=torch.tensor([0]))
        torch.testing.assert_close(found, torch.tensor([weights]))
        assert kind()(*arguments, own=torch.tensor([0])).item() == pytest.approx(value)


@each_loss
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16], ids=str)
def test_own_entries_are_left_out_after_rounding(kind, settings, low):
    """Oracle: identity. Rounded, an anchor is no longer within 1e-5 of similarity 1 to itself,
    and a bound on the similarity lets it in.
    """
    anchors, labels, memory, memory_labels, own = case(m=8, size=20, dtype=low)
    itself = (anchors.double() * memory[own].double()).sum(1)
    assert (itself < 1 - 1e-5).any() and (itself > 1 + 1e-5).any()
    # Negatives as near as can be, so that each loss would count the own entry as a positive.
    memory, memory_labels = torch.cat([memory, anchors]), torch.cat([memory_labels, labels + 1])
    loss, rows = kind(**settings), torch.arange(8)
    assert not loss.weights(anchors, labels, memory, memory_labels, own=own)[rows, own].any()
    assert loss.weights(anchors, labels, memory, memory_labels)[rows, own].all()
    assert not loss.weights(anchors.repeat(2, 1), torch.cat([labels, labels + 1])).diag().any()


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        # S_ij > λ: 0.5 is not above 0.5.
        (ContrastiveLoss(0.5), [1.0, 0.0]),
        (ContrastiveLoss(0.499), [1.0, 1.0]),
        # S_ik < S_ij + η: 1 is not below 0.5 + 0.5.
        (TripletLoss(0.5), [0.0, 0.0]),
        (TripletLoss(0.501), [1.0, 1.0]),
        # S_ij > min S_ik - ε: 0.5 is not above 1 - 0.5.
        (MultiSimilarityLoss(2, 40, 0.5, 0.5), [0.0, 0.0]),
        (MultiSimilarityLoss(2, 40, 0.5, 0.501), [1 / (1 + math.e), 0.5]),
    ],
    ids=repr,
)
def test_bounds_are_strict(loss, wanted):
    """Oracle: Section 3.1 by hand, with S_ik = 1 and S_ij = 0.5 to the last bit."""
    memory, labels = torch.cat([AXES[:1], HALF]), torch.tensor([0, 1])
    found = loss.weights(AXES[:1], labels[:1], memory, labels)
    torch.testing.assert_close(found, torch.tensor([wanted]))
    loss(AXES[:1], labels[:1], memory, labels)
    valid = [int(loss.valid.positives), int(loss.valid.negatives)]
    assert valid == [int(w > 0) for w in wanted]


@each_setting
def test_no_gradient_into_the_memory(kind, settings):
    """Oracle: autograd has no path to it, be it a leaf or made of the anchors."""
    anchors, labels, memory, memory_labels, own = case()
    wanted = value_and_gradient(kind(**settings), anchors, labels, anchors, labels)[1]
    memory.requires_grad_()
    kind(**settings)(anchors.requires_grad_(), labels, memory, memory_labels, own=own).backward()
    assert memory.grad is None and anchors.grad.any()
    anchors.grad = None
    kind(**settings)(anchors, labels, anchors * 1, labels).backward()
    torch.testing.assert_close(anchors.grad, wanted)


@each_setting
def test_scaled_and_added(kind, settings):
    """Oracle: linearity of the gradient, as loss scaling and a sum of two losses need it."""
    anchors, labels, memory, memory_labels, own = case()
    loss, z = kind(**settings), anchors.clone().requires_grad_()
    (3 * loss(z, labels) - 0.5 * loss(z, labels, memory, memory_labels, own=own)).backward()
    batch = value_and_gradient(loss, anchors, labels)[1]
    against = value_and_gradient(loss, anchors, labels, memory, memory_labels, own=own)[1]
    torch.testing.assert_close(z.grad, 3 * batch - 0.5 * against)


def test_valid_pairs_are_those_of_the_latest_call():
    """Oracle: by hand; None before any."""
    loss = ContrastiveLoss()
    assert loss.valid is None
    loss(AXES[[0, 0, 0]], torch.tensor([0, 0, 1]))
    assert (loss.valid.positives.tolist(), loss.valid.negatives.tolist()) == ([1, 1, 0], [1, 1, 2])
    loss(AXES, torch.arange(4))
    assert not loss.valid.positives.any() and not loss.valid.negatives.any()
    assert loss.valid.negatives.dtype == loss.valid.positives.dtype == torch.int64


@each_loss
def test_order_does_not_matter(kind, settings):
    """Oracle: a permuted memory with permuted own entries is the same memory."""
    anchors, labels, memory, memory_labels, own = case(seed=4)
    order = torch.randperm(len(memory), generator=torch.Generator().manual_seed(1))
    moved = order.argsort()[own]
    wanted = value_and_gradient(kind(**settings), anchors, labels, memory, memory_labels, own=own)
    got = value_and_gradient(
        kind(**settings), anchors, labels, memory[order], memory_labels[order], own=moved
    )
    for g, w in zip(got, wanted, strict=True):
        torch.testing.assert_close(g, w)


@each_loss
def test_copies_after_a_call(kind, settings):
    """Oracle: the same value; what the latest call left behind is no obstacle."""
    anchors, labels, *_ = case()
    loss = kind(**settings)
    value = loss(anchors.requires_grad_(), labels)
    assert copy.deepcopy(loss)(anchors, labels) == value
    assert not loss.state_dict() and not list(loss.parameters())


@each_setting
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize(
    "pick",
    [
        lambda v, y, w, z: (v[:1], y[:1]),
        lambda v, y, w, z: (v[:0], y[:0]),
        lambda v, y, w, z: (v, y, w[:0], z[:0]),
        lambda v, y, w, z: (v[:0], y[:0], w, z),
        # Alone of its class, and opposite to all others: no negative is above any bound.
        lambda v, y, w, z: (AXES[:1].double(), y[:1], -AXES[:1].double().expand(5, 4), y[:1] + 1),
    ],
    ids=["one anchor", "no anchor", "empty memory", "no anchor, memory", "far negatives"],
)
def test_no_valid_pair(kind, settings, reduction, pick):
    """Oracle: an empty sum is zero, and so is its gradient: zeros, not None."""
    anchors, labels, *rest = pick(*case()[:4])
    if rest:
        rest[1] = rest[1].expand(len(rest[0]))
    loss = kind(**settings, reduction=reduction)
    out, grad, negatives, positives = value_and_gradient(loss, anchors, labels, *rest)
    assert out == 0 and grad.shape == anchors.shape and not grad.any()
    assert negatives.shape == positives.shape == labels.shape
    assert not negatives.any() and not positives.any()
    assert loss.weights(anchors, labels, *rest).shape == (len(labels), len((rest or [labels])[0]))
    # What has no pair leaves the optimiser's other losses as they are.
    z = torch.ones_like(anchors, requires_grad=True)
    (z.sum() + loss(z * anchors, labels, *rest)).backward()
    assert (z.grad == 1).all()


@pytest.mark.parametrize(("kind", "settings"), SETTINGS[2:])
@pytest.mark.parametrize("classes", [1, 12], ids=["one class", "each class once"])
def test_both_kinds_of_pairs_are_needed(kind, settings, classes):
    """Oracle: the triplet and the multi-similarity loss compare positives with negatives."""
    anchors, *_ = case()
    labels = torch.arange(len(anchors)) % classes
    out, grad, negatives, positives = value_and_gradient(kind(**settings), anchors, labels)
    assert not negatives.any() and not positives.any()
    assert out == 0 and not grad.any()


@pytest.mark.parametrize(("kind", "settings"), SETTINGS[:5:2])
def test_nan_is_not_hidden(kind, settings):
    """Oracle: arithmetic. A diverged model's NaN reaches the loss, where training looks for it."""
    anchors, labels, memory, memory_labels, own = case()
    anchors, loss = anchors * math.nan, kind(**settings)
    assert loss(anchors, labels).isnan()
    assert loss(anchors, labels, memory, memory_labels, own=own).isnan()
