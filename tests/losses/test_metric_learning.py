"""Tests of pytorch-metric-learning's losses in the place of ours."""

import subprocess
import sys
from functools import partial

import pytest
import torch
from pytorch_metric_learning import losses as peers
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.reducers import MeanReducer, SumReducer
from torch import nn

from tests.losses.oracle import case, listed
from xbmlib.losses import ContrastiveLoss, MetricLearningLoss
from xbmlib.queue import CrossBatchMemory

each_peer = pytest.mark.parametrize(
    "make",
    [
        # Such that a self-pair shows: at distance 0 it is in the mean, and at similarity 1 counts.
        partial(peers.ContrastiveLoss, 0.2, 1.2, reducer=MeanReducer()),
        partial(peers.MultiSimilarityLoss, 2, 40, 0.5),
        partial(peers.TripletMarginLoss, 0.3, reducer=MeanReducer()),
        partial(peers.CircleLoss, 0.4, 1),
    ],
    ids=lambda make: make.func.__name__,
)


@each_peer
@pytest.mark.parametrize("known", ["all", "some", "none"])
def test_against_a_memory(make, known):
    """Oracle: the peer by hand, on pairs listed one by one; the memory takes no gradient."""
    anchors, labels, memory, memory_labels, own = case(seed=3)
    # Duplicates of an anchor that are not its own entry stay pairs.
    memory[(own[0] + 1) % len(memory)] = anchors[0]
    if known != "all":
        own[:: 2 if known == "some" else 1] = -1
    given = None if known == "none" else own
    z, w = (anchors.clone().requires_grad_() for _ in range(2))
    memory.requires_grad_()
    value = MetricLearningLoss(make())(z, labels, memory, memory_labels, own=given)
    value.backward()
    assert memory.grad is None
    pairs = listed(labels, memory_labels, own)
    wanted = make()(w, labels, pairs, memory.detach(), memory_labels)
    wanted.backward()
    torch.testing.assert_close(value, wanted)
    torch.testing.assert_close(z.grad, w.grad)
    assert z.grad.abs().sum() > 0
    if known == "all":
        every = listed(labels, memory_labels, torch.full_like(own, -1))
        differs = make()(anchors, labels, every, memory.detach(), memory_labels)
        assert differs.item() != pytest.approx(wanted.item(), rel=1e-6)


@each_peer
def test_within_the_batch(make):
    """Oracle: the peer by hand, on pairs listed one by one: an anchor is its own entry."""
    anchors, labels, *_ = case(seed=4)
    z, w = (anchors.clone().requires_grad_() for _ in range(2))
    value = MetricLearningLoss(make())(z, labels)
    value.backward()
    wanted = make()(w, labels, listed(labels, labels, torch.arange(len(labels))))
    wanted.backward()
    torch.testing.assert_close(value, wanted)
    torch.testing.assert_close(z.grad, w.grad)


@pytest.mark.parametrize("lam", [0.0, 0.5])
def test_contrastive_equals_ours(lam):
    """Oracle: ours; theirs counts S - λ of a valid negative, so λ for each is to be added."""
    anchors, labels, memory, memory_labels, own = case(seed=5)
    peer = peers.ContrastiveLoss(1, lam, distance=CosineSimilarity(), reducer=SumReducer())
    z, w = (anchors.clone().requires_grad_() for _ in range(2))
    ours = ContrastiveLoss(lam)
    value = ours(nn.functional.normalize(z), labels, memory, memory_labels, own=own)
    theirs = MetricLearningLoss(peer)(w, labels, memory, memory_labels, own=own) / len(labels)
    value.backward()
    theirs.backward()
    added = lam * int(ours.valid.negatives.sum()) / len(labels)
    assert value.item() == pytest.approx(theirs.item() + added, rel=1e-9)
    torch.testing.assert_close(z.grad, w.grad)


def test_a_queue_of_bfloat16_under_autocast():
    """Oracle: the peer in float32, on the rounded entries."""
    anchors, labels, *_ = case(dtype=torch.float32)
    queue = CrossBatchMemory(30, anchors.shape[1], dtype=torch.bfloat16)
    queue.enqueue(anchors.flip(0), labels.flip(0))
    own = queue.enqueue(anchors, labels)
    peer = peers.CircleLoss()
    with torch.autocast("cpu", torch.bfloat16):
        value = MetricLearningLoss(peer)(anchors, labels, queue.embeddings, queue.labels, own=own)
    pairs = listed(labels, queue.labels, own)
    wanted = peer(anchors, labels, pairs, queue.embeddings.float(), queue.labels)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, wanted)


def test_parameters_are_found():
    """Oracle: the peer's own: the β of its margin loss is one."""
    found = list(MetricLearningLoss(peers.MarginLoss(learn_beta=True)).parameters())
    assert len(found) == 1


@pytest.mark.parametrize("name", sorted(set(peers.CrossBatchMemory.supported_losses())))
def test_what_the_peer_supports(name):
    """Oracle: the peer's list of losses for its own memory. NCA's sums over every entry, and the
    lifted structure's takes an entry's slot for an anchor's index.
    """
    loss = getattr(peers, name)()
    if name == "NCALoss":
        with pytest.raises(ValueError, match=r"NCALoss uses pairs .* itself"):
            MetricLearningLoss(loss)
        return
    if name == "LiftedStructureLoss":
        with pytest.raises(ValueError, match=r"LiftedStructureLoss changes with the order"):
            MetricLearningLoss(loss)
        return
    anchors, labels, memory, memory_labels, own = case(dtype=torch.float32)
    values = []
    for scale in (1, -1):
        # One anchor's own entry moves; it is alone in its class, so no positive of another.
        labels[0] = memory_labels[own[0]] = 7
        memory[own[0]] *= scale
        values.append(
            MetricLearningLoss(loss)(anchors[:1], labels[:1], memory, memory_labels, own=own[:1])
        )
    torch.testing.assert_close(*values)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (peers.ProxyAnchorLoss(2, 8), "ProxyAnchorLoss cannot .*ref_emb is not supported"),
        (peers.CrossBatchMemory(peers.ContrastiveLoss(), 8), "CrossBatchMemory cannot"),
        (nn.MSELoss(), "MSELoss cannot"),
    ],
)
def test_no_loss_of_pairs(loss, message):
    """Oracle: the message names the loss and the remedy."""
    with pytest.raises(ValueError, match=message + r"(.|\n)*: give a pair or triplet"):
        MetricLearningLoss(loss)


def test_bad_shapes_are_refused():
    """Oracle: the message of our own losses."""
    anchors, labels, memory, *_ = case()
    with pytest.raises(ValueError, match=r"memory \(40, 6\) .* memory_labels"):
        MetricLearningLoss(peers.CircleLoss())(anchors, labels, memory)


def test_optional_packages_are_not_needed():
    """Oracle: a fresh interpreter, in which the peer and TensorBoard cannot be imported."""
    code = (
        "import sys; sys.modules['pytorch_metric_learning'] = sys.modules['tensorboard'] = None\n"
        "import xbmlib.losses, xbmlib.training.run"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
