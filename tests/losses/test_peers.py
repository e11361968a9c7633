"""Tests of the losses against pytorch-metric-learning.

Where the definitions agree. Its contrastive loss counts S - λ for a valid negative, ours S
(Eq. 1): the sums differ by λ for each, a constant that no gradient sees. It normalises what it
is given, and so passes back a gradient along the sphere: ours is given normalised embeddings.
"""

import pytest
import torch
from pytorch_metric_learning import distances, miners, reducers
from pytorch_metric_learning import losses as peers
from torch.nn import functional as F

from tests.losses.test_values import case
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, TripletLoss

each_kind = pytest.mark.parametrize("kind", [ContrastiveLoss, TripletLoss, MultiSimilarityLoss])


def peer_of(kind):
    """The peer's loss, its miner, and the factor that brings it to Eq. 1's 1/m."""
    cosine = {"distance": distances.CosineSimilarity(), "reducer": reducers.SumReducer()}
    if kind is ContrastiveLoss:
        return peers.ContrastiveLoss(pos_margin=1, neg_margin=0.5, **cosine), None, lambda m: 1 / m
    if kind is TripletLoss:
        return peers.TripletMarginLoss(0.1, **cosine), None, lambda m: 1 / m
    return peers.MultiSimilarityLoss(2, 40, 0.5), miners.MultiSimilarityMiner(0.1), lambda m: 1


def offset(loss):
    """What ours adds to the peer's: λ for each valid negative of the contrastive loss."""
    return 0.5 * int(loss.valid.negatives.sum()) if isinstance(loss, ContrastiveLoss) else 0.0


@each_kind
@pytest.mark.parametrize("memory", [True, False], ids=["memory", "batch"])
@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients(kind, memory, seed):
    """Oracle: the peer, given the same pairs; within the batch it leaves out self-pairs too."""
    anchors, labels, *rest, _ = case(seed=seed)
    rest = rest if memory else []
    peer, miner, scale = peer_of(kind)
    z = anchors.clone().requires_grad_()
    mined = miner(z, labels, *rest) if miner else None
    theirs = peer(z, labels, mined, *rest) * scale(len(z))
    theirs.backward()
    wanted, z.grad = z.grad, None
    loss = kind()
    ours = loss(F.normalize(z), labels, *rest)
    ours.backward()
    assert ours.item() == pytest.approx(theirs.item() + offset(loss) / len(z), rel=1e-9)
    torch.testing.assert_close(z.grad, wanted)


def test_mean_over_triplets():
    """Oracle: the peer's mean over the triplets with a loss above zero."""
    anchors, labels, memory, memory_labels, _ = case()
    peer = peers.TripletMarginLoss(
        0.1, distance=distances.CosineSimilarity(), reducer=reducers.AvgNonZeroReducer()
    )
    theirs = peer(anchors, labels, ref_emb=memory, ref_labels=memory_labels)
    ours = TripletLoss(reduction="mean")(anchors, labels, memory, memory_labels)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
