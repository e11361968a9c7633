"""Tests of what a loss takes: the queue itself or its tensors; and of what it refuses."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses as peers
from torch import nn

from tests.losses.oracle import SETTINGS, D, case, each_loss, filled
from xbmlib.losses import (
    ContrastiveLoss,
    MetricLearningLoss,
    MultiSimilarityLoss,
    PairLoss,
    TripletLoss,
    Weighting,
    check_call,
)
from xbmlib.losses.inputs import references
from xbmlib.queue import CrossBatchMemory


class CountedNegatives(PairLoss):
    """A custom loss, with no bound: the sum of all S of negatives."""

    def weigh(self, positives, negatives):
        """As :meth:`PairLoss.weigh`."""
        pair = negatives != -torch.inf
        weights = pair.to(negatives.dtype)
        loss = torch.where(pair, negatives, 0).sum(1)
        return Weighting(loss, torch.zeros_like(positives), weights, weights.sum(1))


@pytest.mark.parametrize(
    "loss",
    [
        *(kind(**settings) for kind, settings in SETTINGS[::2]),
        CountedNegatives(),
        MetricLearningLoss(peers.ContrastiveLoss(0.2, 1.2)),
    ],
    ids=lambda loss: type(loss).__name__,
)
@pytest.mark.parametrize("named", [{}, {"shadow": True}, {"dtype": torch.bfloat16}], ids=str)
@pytest.mark.parametrize("batches", [0, 1, 2], ids=["empty", "partly filled", "wrapped"])
def test_the_queue_itself(loss, named, batches):
    """Oracle: the same call with the queue's tensors, to the last bit: value, gradient, w_ij."""
    anchors, labels, entries, entry_labels, _ = case(dtype=torch.float32)
    queue, own = CrossBatchMemory(50, anchors.shape[1], **named), None
    for _ in range(batches):
        queue.enqueue(entries, entry_labels)
        own = queue.enqueue(anchors, labels)
    tensors, shadow = (queue.embeddings, queue.labels), queue.shadow
    found = []
    for memory, more in (((queue,), {}), (tensors, {"shadow": shadow})):
        z = anchors.clone().requires_grad_()
        out = loss(z, labels, *memory, own=own, **more)
        out.backward()
        found.append([out.detach(), z.grad])
        if isinstance(loss, PairLoss):
            found[-1] += [loss.weights(z, labels, *memory, own=own, **more), *loss.valid]
    for got, wanted in zip(*found, strict=True):
        assert torch.equal(got, wanted)
    assert bool(found[0][1].any()) == bool(batches)
    # The shadow changes no bit of them, so that it is used has to be looked up.
    assert (references(anchors, labels, queue).shadow is None) == ("shadow" not in named)


@each_loss
def test_integers_of_any_width(kind, settings):
    """Oracle: the same call with int64; labels only need to compare, own to name a slot."""
    anchors, labels, memory, memory_labels, own = case()
    wanted = kind(**settings)(anchors, labels, memory, memory_labels, own=own)
    narrow = [t.to(torch.int32) for t in (labels, memory_labels, own)]
    assert kind(**settings)(anchors, narrow[0], memory, narrow[1], own=narrow[2]) == wanted
    far = 2**53
    assert kind(**settings)(anchors, labels + far, memory, memory_labels + far, own=own) == wanted


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anchors": torch.zeros(12)}, r"anchors \(12,\).*\(m, D\)"),
        ({"labels": torch.zeros(3)}, r"labels \(3,\)"),
        ({"labels": torch.zeros(12, 1)}, r"labels \(12, 1\)"),
        ({"memory": None}, "memory_labels, own and shadow come with memory"),
        ({"memory": None, "memory_labels": None}, "own and shadow come with memory"),
        ({"memory_labels": None}, "memory_labels"),
        ({"memory_labels": torch.zeros(3)}, r"memory_labels \(3,\).*40"),
        ({"memory": torch.zeros(40, 2)}, r"memory \(40, 2\).*\(12, 6\)"),
        ({"memory": torch.zeros(40)}, r"memory \(40,\)"),
        ({"own": torch.zeros(2, dtype=torch.int64)}, r"own \(2,\).*12"),
        ({"own": torch.full((12,), 40)}, "own from 40 to 40.*40 entries"),
        ({"own": torch.full((12,), -2)}, "own from -2 to -2.*-1"),
    ],
)
def test_bad_arguments(change, message):
    """Oracle: the message names the argument and what it is; so does that of the weights."""
    names = ("anchors", "labels", "memory", "memory_labels", "own")
    arguments = dict(zip(names, case(), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        ContrastiveLoss()(**arguments)
    with pytest.raises(ValueError, match=message):
        ContrastiveLoss().weights(**arguments)


@pytest.mark.parametrize(
    "loss", [ContrastiveLoss(), MetricLearningLoss(peers.CircleLoss())], ids=["ours", "adapted"]
)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory_labels": torch.zeros(12)}, "memory_labels and shadow beside a queue"),
        ({"shadow": (torch.zeros(12, 6), torch.ones(()))}, "shadow beside a queue: leave them out"),
        ({"own": torch.full((12,), 12)}, "own from 12 to 12.*12 entries"),
        ({"memory": CrossBatchMemory(5, 3)}, r"memory \(0, 3\) for anchors \(12, 6\)"),
        ({"memory": [torch.zeros(12, 6)]}, "memory of type list: give a CrossBatchMemory"),
        ({"memory": nn.Linear(6, 6)}, "memory of type Linear: .* ShardedMemory"),
    ],
)
def test_bad_arguments_beside_a_queue(loss, change, message):
    """Oracle: the message names the argument and the remedy."""
    anchors, labels, *_ = case(dtype=torch.float32)
    queue = CrossBatchMemory(20, 6)
    queue.enqueue(anchors, labels)
    with pytest.raises(ValueError, match=message):
        loss(anchors, labels, **{"memory": queue} | change)


def test_bad_shadows():
    """Oracle: one clear error each."""
    with pytest.raises(ValueError, match="bfloat16 copy is only useful beside float32"):
        CrossBatchMemory(4, D, dtype=torch.float16, shadow=True)
    memory, anchors, labels, _ = filled()
    for entries in (memory.embeddings, memory.embeddings[:5].bfloat16()):
        with pytest.raises(ValueError, match="give the bfloat16 copy"):
            ContrastiveLoss()(
                anchors, labels, memory.embeddings, memory.labels, shadow=(entries, torch.ones(()))
            )
    with pytest.raises(ValueError, match=r"shadow of type Tensor: give a pair .*queue\.Shadow"):
        copy = memory.embeddings.bfloat16()
        ContrastiveLoss()(anchors, labels, memory.embeddings, memory.labels, shadow=copy)
    for shadow in (5, (None, None), (copy, 1.0), (copy, torch.ones(2)), (copy,)):
        with pytest.raises(ValueError, match=r"give a pair .*queue\.Shadow"):
            ContrastiveLoss()(anchors, labels, memory.embeddings, memory.labels, shadow=shadow)


@pytest.mark.parametrize(
    "loss", [ContrastiveLoss(), MetricLearningLoss(peers.CircleLoss())], ids=["ours", "adapted"]
)
def test_anchors_and_labels_are_needed(loss):
    """Oracle: the message names the argument."""
    with pytest.raises(ValueError, match="labels of type NoneType: give a tensor"):
        loss(torch.eye(4), None)
    with pytest.raises(ValueError, match="anchors of type NoneType: give a tensor"):
        loss(None, torch.arange(4))


def test_calls_are_checked():
    """Oracle: ours and the adapted are let through; what is not called so is refused."""
    check_call(ContrastiveLoss())
    check_call(MetricLearningLoss(peers.CircleLoss()))
    with pytest.raises(ValueError, match="CircleLoss is not called as a PairLoss .*Metric"):
        check_call(peers.CircleLoss())
    with pytest.raises(ValueError, match=r"type function: give a torch\.nn\.Module"):
        check_call(nn.functional.mse_loss)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(ContrastiveLoss, "lam"), (TripletLoss, "eta"), (MultiSimilarityLoss, "beta")],
)
@pytest.mark.parametrize("value", ["0.5", None, True, torch.tensor(0.5)], ids=str)
def test_a_setting_that_is_no_number(kind, name, value):
    """Oracle: the message; NumPy's numbers are numbers."""
    with pytest.raises(ValueError, match=f"{name}=.*: give a number"):
        kind(**{name: value})
    assert getattr(kind(**{name: np.float32(0.5)}), name) == 0.5
