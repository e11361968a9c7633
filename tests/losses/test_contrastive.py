"""Tests of the contrastive loss alone."""

import math

import pytest
import torch
from torch.nn import functional as F

from tests.losses.oracle import SETTINGS, case, value_and_gradient
from xbmlib.losses import ContrastiveLoss

each_lam = pytest.mark.parametrize("lam", [settings["lam"] for _, settings in SETTINGS[:2]])


@each_lam
def test_one_class_only(lam):
    """Oracle: no negatives, so the sum of 1 - S_ij over i ≠ j."""
    anchors, *_ = case()
    labels = torch.zeros(len(anchors), dtype=torch.int64)
    out, _, negatives, positives = value_and_gradient(ContrastiveLoss(lam), anchors, labels)
    assert not negatives.any()
    s = anchors @ anchors.T
    off = (1 - s).sum() - (1 - s).diag().sum()
    torch.testing.assert_close(out, off / len(anchors))
    assert (positives == len(anchors) - 1).all()


@each_lam
def test_each_class_once(lam):
    """Oracle: no positives, so the sum of the S_ij > λ over i ≠ j."""
    anchors, *_ = case()
    labels = torch.arange(len(anchors))
    out, _, negatives, positives = value_and_gradient(ContrastiveLoss(lam), anchors, labels)
    assert not positives.any()
    s = (anchors @ anchors.T).fill_diagonal_(-1)
    torch.testing.assert_close(out, s[s > lam].sum() / len(anchors))
    assert torch.equal(negatives, (s > lam).sum(1))


def test_both_sides_of_a_pair_within_the_batch():
    """Oracle: by hand. Two anchors u, v of two classes, S > λ: L = (S + S) / 2 = S.

    So dL/du = v. Against a memory that holds v only, dL/du = v / 1 and v gets nothing.
    """
    u, v = F.normalize(torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64))
    labels = torch.tensor([0, 1])
    z = torch.stack([u, v]).requires_grad_()
    ContrastiveLoss()(z, labels).backward()
    torch.testing.assert_close(z.grad, torch.stack([v, u]))
    z = torch.stack([u, v]).requires_grad_()
    ContrastiveLoss()(z[:1], labels[:1], z[1:], labels[1:]).backward()
    torch.testing.assert_close(z.grad, torch.stack([v, torch.zeros(2, dtype=torch.float64)]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lam": 1.5}, "lam=1.5"),
        ({"lam": -1.01}, "lam=-1.01"),
        ({"lam": math.nan}, "lam=nan"),
        ({"reduction": "max"}, "reduction='max'.*\"sum\""),
    ],
)
def test_bad_settings(settings, message):
    """Oracle: the message names the setting and its value."""
    with pytest.raises(ValueError, match=message):
        ContrastiveLoss(**settings)
