"""Tests of the multi-similarity loss alone."""

import math

import pytest
import torch

from tests.losses.oracle import AXES, value_and_gradient
from xbmlib.losses import MultiSimilarityLoss


def test_large_scales_do_not_overflow():
    """Oracle: log(1 + e^x) → max(0, x). e^{β(S - λ)} = e^{2000} has no float."""
    memory, labels = AXES[[0, 1]], torch.tensor([1, 0])
    loss = MultiSimilarityLoss(alpha=4000, beta=4000, lam=0.5, epsilon=0.1)
    out, grad, *_ = value_and_gradient(loss, AXES[:1], labels[1:], memory, labels)
    assert out.item() == pytest.approx(0.5 + 0.5)
    torch.testing.assert_close(grad, AXES[:1] - AXES[1:2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 0}, "alpha=0"),
        ({"beta": -2}, "beta=-2"),
        ({"beta": math.nan}, "beta=nan"),
        ({"lam": 2}, "lam=2"),
        ({"epsilon": -0.1}, "epsilon=-0.1"),
        ({"reduction": "max"}, "reduction='max'.*\"sum\""),
    ],
)
def test_bad_settings(settings, message):
    """Oracle: the message names the setting and its value."""
    with pytest.raises(ValueError, match=message):
        MultiSimilarityLoss(**settings)
