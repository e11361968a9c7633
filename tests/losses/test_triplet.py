"""Tests of the triplet loss alone."""

import math

import pytest
import torch
from pytorch_metric_learning import distances, reducers
from pytorch_metric_learning import losses as peers

from tests.losses.oracle import AXES, HALF, case
from xbmlib.losses import TripletLoss


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


def test_mean_over_triplets():
    """Oracle: the peer's mean over the triplets with a loss above zero."""
    anchors, labels, memory, memory_labels, _ = case()
    peer = peers.TripletMarginLoss(
        0.1, distance=distances.CosineSimilarity(), reducer=reducers.AvgNonZeroReducer()
    )
    theirs = peer(anchors, labels, ref_emb=memory, ref_labels=memory_labels)
    ours = TripletLoss(reduction="mean")(anchors, labels, memory, memory_labels)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eta": -1}, "eta=-1"),
        ({"eta": math.nan}, "eta=nan"),
        ({"reduction": "max"}, "reduction='max'.*\"sum\""),
    ],
)
def test_bad_settings(settings, message):
    """Oracle: the message names the setting and its value."""
    with pytest.raises(ValueError, match=message):
        TripletLoss(**settings)
