"""Tests of embeddings that are not of norm 1, of overwritten entries, and of infinite settings."""

import math
import warnings

import pytest
import torch
from pytorch_metric_learning import distances
from pytorch_metric_learning import losses as peers
from torch.nn import functional as F

from tests.losses.oracle import brute_batch, case
from xbmlib.losses import ContrastiveLoss, MetricLearningLoss, MultiSimilarityLoss, TripletLoss
from xbmlib.queue import CrossBatchMemory
from xbmlib.xbm import XBM


@pytest.mark.parametrize("norm", [1e-3, 1.0, 30.0, 1e3, 1e5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("kind", "named"), [(TripletLoss, {"eta": 0.1}),
                                             (ContrastiveLoss, {"lam": 0.5})])  # fmt: skip
def test_any_norm(norm, dtype, kind, named):
    """Oracle: the float64 loops on the same embeddings."""
    anchors, labels, memory, memory_labels, own = case(dtype=dtype)
    anchors, memory = anchors * norm, memory * norm
    arguments = anchors, labels, memory, memory_labels
    total, *_ = brute_batch(kind, named, *arguments, own)
    value = kind(**named)(*arguments, own=own)
    rel = 1e-5 if dtype == torch.float32 else 1e-12
    assert value.item() == pytest.approx(total / len(anchors), rel=rel)


@pytest.mark.parametrize("norm", [1e-2, 1.0, 3.0, 30.0, 1e3])
@pytest.mark.parametrize(("kind", "named"), [(TripletLoss, {"eta": 0.1}),
                                             (ContrastiveLoss, {"lam": 0.5})])  # fmt: skip
@pytest.mark.parametrize("scaled", ["anchors", "memory", "both"])
def test_a_bfloat16_memory_of_any_norm(norm, kind, named, scaled):
    """Oracle: the float64 loops on the same rounded entries. 5,000 entries: several tiles, and more
    than a bound that is off by bfloat16's rounding at norm 1 would find.
    """
    anchors, labels, memory, memory_labels, own = case(24, 5000, 16, 40, dtype=torch.float32)
    anchors = anchors * (norm if scaled != "memory" else 1)
    memory = (memory * (norm if scaled != "anchors" else 1)).bfloat16()
    wide = (tensor.double() for tensor in (anchors, memory))
    first, second = wide
    total, *_ = brute_batch(kind, named, first, labels, second, memory_labels, own)
    value = kind(**named)(anchors, labels, memory, memory_labels, own=own)
    assert value.item() == pytest.approx(total / len(anchors), rel=2e-5)


def test_two_batches_enqueued_before_one_backward():
    """Oracle: the gradient of the same loss on a copy of the entries as they were.

    The unnormalised distance keeps the entries for its backward pass.
    """
    peer = peers.ContrastiveLoss(0, 3, distance=distances.LpDistance(normalize_embeddings=False))
    anchors, labels, memory, memory_labels, _ = case(dtype=torch.float32)
    queue, loss = CrossBatchMemory(len(memory), 6), MetricLearningLoss(peer)
    queue.enqueue(memory, memory_labels)
    z, w = (anchors.clone().requires_grad_() for _ in range(2))
    value = loss(z, labels, queue)
    for _ in range(2):
        queue.enqueue(7 * anchors, labels)
    value.backward()
    loss(w, labels, memory, memory_labels).backward()
    assert torch.equal(z.grad, w.grad) and z.grad.any()


@pytest.mark.parametrize(
    "make",
    [
        lambda x: TripletLoss(eta=x),
        lambda x: MultiSimilarityLoss(alpha=x),
        lambda x: MultiSimilarityLoss(beta=x),
        lambda x: MultiSimilarityLoss(epsilon=x),
        lambda x: ContrastiveLoss(lam=x),
    ],
)
def test_infinite_settings(make):
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match="=inf"):
        make(math.inf)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64], ids=str)
def test_embeddings_of_another_kind(dtype):
    """Oracle: the message names the argument and its dtype."""
    v, bad, labels = torch.eye(2), torch.eye(2).to(dtype), torch.arange(2)
    for loss in (ContrastiveLoss(), MetricLearningLoss(peers.CircleLoss())):
        with pytest.raises(ValueError, match=f"anchors of {dtype}: give floating point"):
            loss(bad, labels)
        with pytest.raises(ValueError, match=f"memory of {dtype}: give floating point"):
            loss(v, labels, bad, labels)
    with pytest.raises(ValueError, match=f"embeddings of {dtype}: give floating point"):
        CrossBatchMemory(3, 2).enqueue(bad, labels)


def test_anchors_that_are_not_normalised_are_named_once():
    """Oracle: the norms, by hand; unit vectors, rounded to bfloat16 too, are no reason to warn."""
    v, labels = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]), torch.tensor([0, 0, 1])
    loss = ContrastiveLoss()
    with pytest.warns(
        UserWarning, match=r"anchors of norm 1 to 5: .* torch.nn.functional.norm"
    ) as w:
        loss(v, labels)
    assert len(w) == 1 and w[0].filename == __file__
    xbm = XBM(ContrastiveLoss(), size=10, dim=2, start=0)
    with pytest.warns(UserWarning, match="anchors of norm 1 to 5") as found:
        xbm(torch.cat([v, torch.full((1, 2), torch.nan)]), torch.tensor([0, 0, 1, 1]))
    assert [w.filename for w in found] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss(v, labels)
        ContrastiveLoss()(F.normalize(v), labels)
        ContrastiveLoss()(F.normalize(torch.randn(3, 64)).bfloat16(), labels)
