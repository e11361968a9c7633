"""Tests of the losses where there is no pair, one class, too much of something, or NaN."""

import math

import pytest
import torch

from tests.losses.test_pairs import AXES, HALF, value_and_gradient
from tests.losses.test_values import SETTINGS, case, each_setting
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, TripletLoss


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


@each_setting
def test_one_class_only(kind, settings):
    """Oracle: no negatives. Contrastive sums 1 - S_ij over i ≠ j; the others need both kinds."""
    anchors, *_ = case()
    labels = torch.zeros(len(anchors), dtype=torch.int64)
    loss = kind(**settings)
    out, grad, negatives, positives = value_and_gradient(loss, anchors, labels)
    assert not negatives.any()
    if kind is ContrastiveLoss:
        s = anchors @ anchors.T
        off = (1 - s).sum() - (1 - s).diag().sum()
        torch.testing.assert_close(out, off / len(anchors))
        assert (positives == len(anchors) - 1).all()
    else:
        assert out == 0 and not grad.any() and not positives.any()


@each_setting
def test_each_class_once(kind, settings):
    """Oracle: no positives. Contrastive sums S_ij > λ over i ≠ j; the others need both kinds."""
    anchors, *_ = case()
    loss, labels = kind(**settings), torch.arange(len(anchors))
    out, grad, negatives, positives = value_and_gradient(loss, anchors, labels)
    assert not positives.any()
    if kind is ContrastiveLoss:
        s = (anchors @ anchors.T).fill_diagonal_(-1)
        torch.testing.assert_close(out, s[s > settings["lam"]].sum() / len(anchors))
        assert torch.equal(negatives, (s > settings["lam"]).sum(1))
    else:
        assert out == 0 and not grad.any() and not negatives.any()


def test_more_triplets_than_int32_counts():
    """Oracle: closed formula, and P·N·m > 2³¹ triplets, where peers' listing of them crashes.

    Every positive is at S = 1, every negative at 0.5: each of P·N triplets costs η - 0.5.
    """
    m, p, n = 64, 5000, 8000
    memory = torch.cat([AXES[:1].expand(p, 4), HALF.expand(n, 4)])
    labels = torch.cat([torch.zeros(p, dtype=torch.int64), torch.ones(n, dtype=torch.int64)])
    arguments = AXES[:1].expand(m, 4), labels[:m], memory, labels
    assert m * p * n > 2**31
    assert TripletLoss(0.75)(*arguments).item() == pytest.approx(p * n * 0.25, rel=1e-6)
    mean = TripletLoss(0.75, reduction="mean")
    assert mean(*arguments).item() == pytest.approx(0.25, rel=1e-6)
    assert mean.valid.positives.tolist() == [p] * m and mean.valid.negatives.tolist() == [n] * m
    weights = mean.weights(*arguments)
    assert (weights[:, :p] == n).all() and (weights[:, p:] == p).all()


def test_large_scales_do_not_overflow():
    """Oracle: log(1 + e^x) → max(0, x). e^{β(S - λ)} = e^{2000} has no float."""
    memory, labels = AXES[[0, 1]], torch.tensor([1, 0])
    loss = MultiSimilarityLoss(alpha=4000, beta=4000, lam=0.5, epsilon=0.1)
    out, grad, *_ = value_and_gradient(loss, AXES[:1], labels[1:], memory, labels)
    assert out.item() == pytest.approx(0.5 + 0.5)
    torch.testing.assert_close(grad, AXES[:1] - AXES[1:2])


@pytest.mark.parametrize(("kind", "settings"), SETTINGS[:5:2])
def test_nan_is_not_hidden(kind, settings):
    """Oracle: arithmetic. A diverged model's NaN reaches the loss, where training looks for it."""
    anchors, labels, memory, memory_labels, own = case()
    anchors, loss = anchors * math.nan, kind(**settings)
    assert loss(anchors, labels).isnan()
    assert loss(anchors, labels, memory, memory_labels, own=own).isnan()
