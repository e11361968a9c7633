"""Tests of the losses against loops over pairs, finite differences and a peer library."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import distances, miners, reducers
from pytorch_metric_learning import losses as peers
from torch.nn import functional as F

from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, TripletLoss, pairs

LOSSES = (ContrastiveLoss, TripletLoss, MultiSimilarityLoss)
each_loss = pytest.mark.parametrize("kind", LOSSES)


def case(m=12, size=40, dim=6, classes=4, seed=0, dtype=torch.float64):
    """Anchors, labels, memory and its labels; each anchor's own entry is in the memory."""
    generator = torch.Generator().manual_seed(seed)

    def unit(n):
        return F.normalize(torch.randn(n, dim, generator=generator, dtype=torch.float64)).to(dtype)

    def label(n):
        return torch.randint(0, classes, (n,), generator=generator) - 1

    anchors, labels, memory, memory_labels = unit(m), label(m), unit(size), label(size)
    own = torch.randperm(size, generator=generator)[:m]
    memory[own], memory_labels[own] = anchors, labels
    return anchors, labels, memory, memory_labels, own


def brute(kind, i, s, same, itself):
    """L_i, w_ij and the number of terms of one anchor, straight from Section 3.1."""
    n = range(len(s))
    positives = [j for j in n if same[j] and j != itself]
    negatives = [j for j in n if not same[j]]
    weights = [0.0] * len(s)
    if kind is ContrastiveLoss:
        valid = [j for j in negatives if s[j] > 0.5]
        for j in positives + valid:
            weights[j] = 1.0
        value = sum(1 - s[j] for j in positives) + sum(s[j] for j in valid)
        return value, weights, len(positives) + len(valid)
    if kind is TripletLoss:
        value, terms = 0.0, 0
        for k in positives:
            for j in negatives:
                if s[j] - s[k] + 0.1 > 0:
                    value += s[j] - s[k] + 0.1
                    terms += 1
                    weights[j] += 1
                    weights[k] += 1
        return value, weights, terms
    if not positives or not negatives:
        return 0.0, weights, 0
    mined_n = [j for j in negatives if s[j] > min(s[k] for k in positives) - 0.1]
    mined_p = [k for k in positives if s[k] < max(s[j] for j in negatives) + 0.1]
    if not mined_n:
        return 0.0, weights, 0
    total_n = 1 + sum(math.exp(40 * (s[j] - 0.5)) for j in mined_n)
    total_p = 1 + sum(math.exp(-2 * (s[k] - 0.5)) for k in mined_p)
    for j in mined_n:
        weights[j] = math.exp(40 * (s[j] - 0.5)) / total_n
    for k in mined_p:
        weights[k] = math.exp(-2 * (s[k] - 0.5)) / total_p
    return math.log(total_n) / 40 + math.log(total_p) / 2, weights, 1


def brute_batch(kind, anchors, labels, memory, memory_labels, own):
    """Loss of Eq. 4 with its 1/m, its mean over terms, the weights and the gradient of Eq. 5."""
    rows = [
        brute(
            kind,
            i,
            (memory @ anchors[i]).tolist(),
            (memory_labels == labels[i]).tolist(),
            int(own[i]),
        )
        for i in range(len(anchors))
    ]
    values, weights, terms = zip(*rows, strict=True)
    weights = torch.tensor(weights, dtype=torch.float64).reshape(len(anchors), len(memory))
    sign = torch.where(labels[:, None] == memory_labels[None, :], -1.0, 1.0)
    return sum(values), weights, sum(terms), (sign * weights) @ memory


@each_loss
@pytest.mark.parametrize("seed", range(4))
def test_against_memory(kind, seed):
    """Oracle: loops over pairs in float64 (Eq. 4, Eq. 5, Section 3.1)."""
    anchors, labels, memory, memory_labels, own = case(seed=seed)
    value, weights, terms, grad = brute_batch(kind, anchors, labels, memory, memory_labels, own)
    for reduction, scale in (("sum", len(anchors)), ("mean", terms)):
        z = anchors.clone().requires_grad_()
        loss = kind(reduction=reduction)
        out = loss(z, labels, memory, memory_labels, own=own)
        out.backward()
        assert out.item() == pytest.approx(value / scale, rel=1e-9)
        torch.testing.assert_close(z.grad, grad / scale)
        same = labels[:, None] == memory_labels[None, :]
        assert torch.equal(loss.valid.negatives, ((weights > 0) & ~same).sum(1))
        assert torch.equal(loss.valid.positives, ((weights > 0) & same).sum(1))
    torch.testing.assert_close(
        loss.weights(anchors, labels, memory, memory_labels, own=own), weights
    )


@each_loss
def test_within_batch(kind):
    """Oracle: the loops with the batch as memory; its gradient by finite differences.

    Both sides of a pair are anchors of this batch (Eq. 1), so Eq. 5 alone is not the gradient.
    """
    anchors, labels, *_ = case(seed=5)
    value, *_ = brute_batch(kind, anchors, labels, anchors, labels, torch.arange(len(anchors)))
    z = anchors.clone().requires_grad_()
    assert kind()(z, labels).item() == pytest.approx(value / len(anchors), rel=1e-9)
    assert torch.autograd.gradcheck(lambda v: kind()(v, labels), z)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(LOSSES),
    m=st.integers(1, 9),
    size=st.integers(0, 25),
    classes=st.integers(1, 5),
    seed=st.integers(0, 10_000),
    data=st.data(),
)
def test_any_shape(kind, m, size, classes, seed, data):
    """Oracle: the loops, for any sizes, own entries or none, duplicates included."""
    anchors, labels, memory, memory_labels, _ = case(m, max(size, m), 3, classes, seed)
    memory, memory_labels = memory[:size], memory_labels[:size]
    own = torch.tensor(
        data.draw(st.lists(st.integers(-1, size - 1), min_size=m, max_size=m)), dtype=torch.int64
    )
    # An own entry has its anchor's label, as whatever enqueues sees to.
    wrong = (own >= 0) & (
        memory_labels[own.clamp_min(0)] != labels if size else torch.ones(m, dtype=torch.bool)
    )
    own[wrong] = -1
    if size > 1:
        memory[0] = memory[1]
    z = anchors.clone().requires_grad_()
    out = kind()(z, labels, memory, memory_labels, own=own)
    out.backward()
    value, _, terms, grad = brute_batch(kind, anchors, labels, memory, memory_labels, own)
    assert out.item() == pytest.approx(value / m, rel=1e-7, abs=1e-12)
    torch.testing.assert_close(z.grad, grad / m, atol=1e-9, rtol=1e-7)
    if not terms:
        assert out.item() == 0 and not z.grad.any()


@each_loss
def test_duplicates_are_pairs_and_only_own_entries_are_left_out(kind):
    """Oracle: the loops. Peers drop whatever is more similar than 1 - 1e-5."""
    anchors, labels, memory, memory_labels, own = case(m=3, size=12, seed=2)
    memory[own[0]], memory[own[1]] = anchors[0], anchors[0]
    memory_labels[own[1]] = labels[0]
    without = torch.tensor([int(own[0]), -1, -1])
    _, weights, *_ = brute_batch(kind, anchors, labels, memory, memory_labels, without)
    found = kind().weights(anchors, labels, memory, memory_labels, own=without)
    torch.testing.assert_close(found, weights)
    assert found[0, own[0]] == 0


def test_duplicate_positive_has_weight_one():
    """Oracle: Section 3.1 gives every positive of the contrastive loss weight 1."""
    v = F.normalize(torch.ones(1, 4))
    found = ContrastiveLoss().weights(
        v, torch.tensor([3]), v.expand(2, 4), torch.tensor([3, 3]), own=torch.tensor([1])
    )
    assert found.tolist() == [[1.0, 0.0]]


@each_loss
def test_blocks_change_nothing(kind, monkeypatch):
    """Oracle: the same call in one block."""
    anchors, labels, memory, memory_labels, own = case(seed=7)

    def run():
        z = anchors.clone().requires_grad_()
        loss = kind()
        out = loss(z, labels, memory, memory_labels, own=own)
        batch = kind()(z, labels)
        (out + batch).backward()
        return out.detach(), batch.detach(), z.grad, loss.valid.negatives, loss.valid.positives

    whole = run()
    monkeypatch.setattr(pairs, "BLOCK", 50)
    for got, wanted in zip(run(), whole, strict=True):
        torch.testing.assert_close(got, wanted)


@each_loss
def test_no_gradient_into_the_memory(kind):
    """Oracle: autograd has no path to it."""
    anchors, labels, memory, memory_labels, own = case()
    memory.requires_grad_()
    kind()(anchors.requires_grad_(), labels, memory, memory_labels, own=own).backward()
    assert memory.grad is None
    assert anchors.grad is not None


@each_loss
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_low_precision(kind, low):
    """Oracle: the float64 loops on the rounded values, with and without autocast."""
    anchors, labels, memory, memory_labels, own = case(dtype=low)
    value, _, _, grad = brute_batch(
        kind, anchors.double(), labels, memory.double(), memory_labels, own
    )
    z = anchors.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = kind()(z, labels, memory, memory_labels, own=own)
    out.backward()
    assert z.grad.dtype == low
    assert out.item() == pytest.approx(value / len(anchors), rel=1e-4)
    wanted = grad / len(anchors)
    assert (z.grad - wanted).norm() < 0.01 * wanted.norm()


@each_loss
def test_non_contiguous(kind):
    """Oracle: the same values laid out side by side."""
    anchors, labels, memory, memory_labels, own = case()
    strided = torch.empty(6, 12, dtype=torch.float64).T
    strided.copy_(anchors)
    assert not strided.is_contiguous()
    wanted = kind()(anchors, labels, memory, memory_labels, own=own)
    assert kind()(strided, labels, memory.T.contiguous().T, memory_labels, own=own) == wanted


def test_contrastive_equals_peer():
    """Oracle: pytorch-metric-learning, whose negatives cost S - λ instead of S.

    Its sums over pairs then differ by λ for each valid negative.
    """
    anchors, labels, memory, memory_labels, _ = case()
    peer = peers.ContrastiveLoss(
        pos_margin=1,
        neg_margin=0.5,
        distance=distances.CosineSimilarity(),
        reducer=reducers.SumReducer(),
    )
    theirs = peer(anchors, labels, ref_emb=memory, ref_labels=memory_labels)
    loss = ContrastiveLoss()
    ours = loss(anchors, labels, memory, memory_labels)
    offset = 0.5 * loss.valid.negatives.sum()
    assert ours.item() * len(anchors) == pytest.approx((theirs + offset).item())


def test_triplet_equals_peer():
    """Oracle: pytorch-metric-learning's triplet margin loss on cosine similarity."""
    anchors, labels, memory, memory_labels, _ = case()
    for reduction, reducer in (
        ("sum", reducers.SumReducer()),
        ("mean", reducers.AvgNonZeroReducer()),
    ):
        peer = peers.TripletMarginLoss(0.1, distance=distances.CosineSimilarity(), reducer=reducer)
        theirs = peer(anchors, labels, ref_emb=memory, ref_labels=memory_labels).item()
        ours = TripletLoss(reduction=reduction)(anchors, labels, memory, memory_labels).item()
        assert ours * (len(anchors) if reduction == "sum" else 1) == pytest.approx(theirs)


def test_multi_similarity_equals_peer():
    """Oracle: pytorch-metric-learning's loss with its miner."""
    anchors, labels, memory, memory_labels, _ = case()
    mined = miners.MultiSimilarityMiner(0.1)(anchors, labels, memory, memory_labels)
    theirs = peers.MultiSimilarityLoss(2, 40, 0.5)(anchors, labels, mined, memory, memory_labels)
    assert MultiSimilarityLoss()(anchors, labels, memory, memory_labels).item() == pytest.approx(
        theirs.item()
    )


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        (ContrastiveLoss, {"lam": 1.5}, "lam=1.5"),
        (TripletLoss, {"eta": -1}, "eta=-1"),
        (MultiSimilarityLoss, {"alpha": 0}, "alpha=0"),
        (MultiSimilarityLoss, {"beta": math.nan}, "beta=nan"),
        (MultiSimilarityLoss, {"epsilon": -0.1}, "epsilon=-0.1"),
        (ContrastiveLoss, {"reduction": "max"}, "reduction='max'"),
    ],
)
def test_bad_settings(kind, settings, told):
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match=told):
        kind(**settings)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"labels": torch.zeros(3)}, "labels"),
        ({"memory_labels": None}, "memory"),
        ({"memory_labels": torch.zeros(3)}, "memory_labels"),
        ({"memory": torch.zeros(40, 2)}, "memory"),
        ({"own": torch.zeros(2, dtype=torch.int64)}, "own"),
        ({"own": torch.full((12,), 40)}, "40"),
        ({"memory": None}, "memory"),
    ],
)
def test_bad_arguments(change, told):
    """Oracle: the message names the argument."""
    names = ("anchors", "labels", "memory", "memory_labels", "own")
    arguments = dict(zip(names, case(), strict=True)) | change
    with pytest.raises(ValueError, match=told):
        ContrastiveLoss()(**arguments)
