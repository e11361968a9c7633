"""Tests of the losses over dtypes, layouts, autocast, blocks, and what they refuse."""

import copy
import math

import pytest
import torch
from pytorch_metric_learning import losses as peers
from torch import nn

from tests.losses.test_pairs import value_and_gradient
from tests.losses.test_values import SETTINGS, brute_batch, case, each_loss, each_setting, owners
from xbmlib.losses import (
    ContrastiveLoss,
    MetricLearningLoss,
    MultiSimilarityLoss,
    PairLoss,
    TripletLoss,
    Weighting,
    candidates,
    pairs,
)
from xbmlib.queue import CrossBatchMemory

LOW = (torch.bfloat16, torch.float16)


@each_loss
@pytest.mark.parametrize("low", LOW, ids=str)
@pytest.mark.parametrize("autocast", [False, True], ids=["", "autocast"])
def test_low_precision(kind, settings, low, autocast):
    """Oracle: the float64 loops on the rounded values, against the memory and within the batch.

    Only the gradient comes back rounded, in the anchors' dtype.
    """
    anchors, labels, memory, memory_labels, own = case(dtype=low)
    itself = torch.arange(len(anchors))
    for refs, ref_labels, mine, rest in (
        (memory, memory_labels, own, {"own": own}),
        (anchors, labels, itself, {}),
    ):
        total, _, weights, signs, grad = brute_batch(
            kind, settings, anchors, labels, refs, ref_labels, mine
        )
        given = (labels, refs, ref_labels) if rest else (labels,)
        if not rest:
            grad = grad + (signs * weights).T @ anchors.double()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = kind(**settings)
            out, found, *_ = value_and_gradient(loss, anchors, *given, **rest)
        assert found.dtype == low and out.dtype == torch.float32
        assert out.item() == pytest.approx(total / len(anchors), rel=1e-5)
        error = (found.double() - grad / len(anchors)).norm()
        assert error < 0.005 * grad.norm() / len(anchors)
        assert int(sum(loss.valid).sum()) == int((weights > 0).sum())


@each_setting
@pytest.mark.parametrize("stored", [*LOW, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_memory_of_another_dtype(kind, settings, stored, dtype):
    """Oracle: the float64 loops on what is stored; the gradient is the anchors' dtype's."""
    anchors, labels, memory, memory_labels, own = case(seed=1)
    anchors, memory = anchors.to(dtype), memory.to(stored)
    total, _, _, _, grad = brute_batch(kind, settings, anchors, labels, memory, memory_labels, own)
    out, found, *_ = value_and_gradient(
        kind(**settings), anchors, labels, memory, memory_labels, own=own
    )
    assert out.item() == pytest.approx(total / len(anchors), rel=1e-5)
    torch.testing.assert_close(found, (grad / len(anchors)).to(dtype), atol=1e-5, rtol=1e-4)


@each_setting
def test_autocast_changes_nothing(kind, settings):
    """Oracle: the same call without it, to the last bit, value, gradient and weights."""
    anchors, labels, *rest, own = case(dtype=torch.float32)
    for arguments in ((labels,), (labels, *rest)):
        named = {"own": own} if len(arguments) > 1 else {}
        plain = value_and_gradient(kind(**settings), anchors, *arguments, **named)
        with torch.autocast("cpu", torch.bfloat16):
            cast = value_and_gradient(kind(**settings), anchors, *arguments, **named)
        for got, wanted in zip(cast, plain, strict=True):
            assert got.dtype == wanted.dtype and torch.equal(got, wanted)


@each_setting
def test_non_contiguous(kind, settings):
    """Oracle: the same values laid out side by side."""
    anchors, *given, own = case()

    def strided(t):
        """Every second row of something wider, its columns apart."""
        wide = torch.zeros(2 * len(t), *(2 * n for n in t.shape[1:]), dtype=t.dtype)
        out = wide[::2, ::2] if t.ndim == 2 else wide[::2]
        out.copy_(t)
        assert not out.is_contiguous()
        return out

    for rest, named in ((given[:1], {}), (given, {"own": own})):
        wanted = value_and_gradient(kind(**settings), anchors, *rest, **named)
        z, loss = anchors.clone().requires_grad_(), kind(**settings)
        apart = {name: strided(t) for name, t in named.items()}
        out = loss(strided(z), *(strided(t) for t in rest), **apart)
        out.backward()
        for got, w in zip((out.detach(), z.grad, *loss.valid), wanted, strict=True):
            torch.testing.assert_close(got, w)


@each_setting
@pytest.mark.parametrize(("block", "tile"), [(1, 1), (7, 100), (50, 7), (130, 3)])
@pytest.mark.parametrize("mode", ["all", "none", "some"])
def test_blocks_change_nothing(kind, settings, block, tile, mode, monkeypatch):
    """Oracle: the same call in one block, against the memory and within the batch.

    The sizes cut the anchors, or the memory, or both, and at uneven places.
    """
    anchors, labels, memory, memory_labels, own = case(seed=7)
    own = owners(mode, own)

    def run():
        loss = kind(**settings)
        return (
            *value_and_gradient(loss, anchors, labels, memory, memory_labels, own=own),
            *value_and_gradient(loss, anchors, labels),
            loss.weights(anchors, labels, memory, memory_labels, own=own),
            loss.weights(anchors, labels),
            value_and_gradient(kind(**settings, reduction="mean"), anchors, labels)[0],
        )

    whole = run()
    monkeypatch.setattr(candidates, "BLOCK_LIMIT", block)
    monkeypatch.setattr(candidates, "TILE_SIMILARITIES", 1)
    for module in (candidates, pairs):
        monkeypatch.setattr(module, "TILE_ENTRIES", tile)
    for got, wanted in zip(run(), whole, strict=True):
        torch.testing.assert_close(got, wanted)


@each_loss
@pytest.mark.parametrize("block", [3, 80, 200])
def test_blocks_bound_the_similarities(kind, settings, block, monkeypatch):
    """Oracle: no block of pairs holds more than BLOCK entries, or else it is of one anchor; each
    anchor is in one block, and the memory is looked through whole.
    """
    anchors, labels, memory, memory_labels, own = case()
    seen, weigh = [], kind.weigh

    def watched(self, positives, negatives):
        for part in (positives, negatives):
            assert len(part) == 1 or part.numel() <= block
        seen.append(len(positives))
        return weigh(self, positives, negatives)

    monkeypatch.setattr(kind, "weigh", watched)
    monkeypatch.setattr(candidates, "BLOCK_LIMIT", block)
    kind(**settings)(anchors, labels, memory, memory_labels, own=own)
    assert sum(seen) == len(anchors) and (len(seen) > 1 or block == 200)


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
def test_integers_of_any_width(kind, settings):
    """Oracle: the same call with int64; labels only need to compare, own to name a slot."""
    anchors, labels, memory, memory_labels, own = case()
    wanted = kind(**settings)(anchors, labels, memory, memory_labels, own=own)
    narrow = [t.to(torch.int32) for t in (labels, memory_labels, own)]
    assert kind(**settings)(anchors, narrow[0], memory, narrow[1], own=narrow[2]) == wanted
    far = 2**53
    assert kind(**settings)(anchors, labels + far, memory, memory_labels + far, own=own) == wanted


@each_loss
def test_copies_after_a_call(kind, settings):
    """Oracle: the same value; what the latest call left behind is no obstacle."""
    anchors, labels, *_ = case()
    loss = kind(**settings)
    value = loss(anchors.requires_grad_(), labels)
    assert copy.deepcopy(loss)(anchors, labels) == value
    assert not loss.state_dict() and not list(loss.parameters())


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        (ContrastiveLoss, {"lam": 1.5}, "lam=1.5"),
        (ContrastiveLoss, {"lam": -1.01}, "lam=-1.01"),
        (ContrastiveLoss, {"lam": math.nan}, "lam=nan"),
        (TripletLoss, {"eta": -1}, "eta=-1"),
        (TripletLoss, {"eta": math.nan}, "eta=nan"),
        (MultiSimilarityLoss, {"alpha": 0}, "alpha=0"),
        (MultiSimilarityLoss, {"beta": -2}, "beta=-2"),
        (MultiSimilarityLoss, {"beta": math.nan}, "beta=nan"),
        (MultiSimilarityLoss, {"lam": 2}, "lam=2"),
        (MultiSimilarityLoss, {"epsilon": -0.1}, "epsilon=-0.1"),
        *((kind, {"reduction": "max"}, "reduction='max'.*\"sum\"") for kind, _ in SETTINGS[::2]),
    ],
)
def test_bad_settings(kind, settings, told):
    """Oracle: the message names the setting and its value."""
    with pytest.raises(ValueError, match=told):
        kind(**settings)


@pytest.mark.parametrize(
    ("change", "told"),
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
def test_bad_arguments(change, told):
    """Oracle: the message names the argument and what it is; so does that of the weights."""
    names = ("anchors", "labels", "memory", "memory_labels", "own")
    arguments = dict(zip(names, case(), strict=True)) | change
    with pytest.raises(ValueError, match=told):
        ContrastiveLoss()(**arguments)
    with pytest.raises(ValueError, match=told):
        ContrastiveLoss().weights(**arguments)


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


@pytest.mark.parametrize(
    "loss", [ContrastiveLoss(), MetricLearningLoss(peers.CircleLoss())], ids=["ours", "adapted"]
)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"memory_labels": torch.zeros(12)}, "memory_labels and shadow beside a queue"),
        ({"shadow": (torch.zeros(12, 6), torch.ones(()))}, "shadow beside a queue: leave them out"),
        ({"own": torch.full((12,), 12)}, "own from 12 to 12.*12 entries"),
        ({"memory": CrossBatchMemory(5, 3)}, r"memory \(0, 3\) for anchors \(12, 6\)"),
        ({"memory": [torch.zeros(12, 6)]}, "memory of type list: give a CrossBatchMemory"),
        ({"memory": nn.Linear(6, 6)}, "memory of type Linear: .* ShardedMemory"),
    ],
)
def test_bad_arguments_beside_a_queue(loss, change, told):
    """Oracle: the message names the argument and the remedy."""
    anchors, labels, *_ = case(dtype=torch.float32)
    queue = CrossBatchMemory(20, 6)
    queue.enqueue(anchors, labels)
    with pytest.raises(ValueError, match=told):
        loss(anchors, labels, **{"memory": queue} | change)
