"""Tests of the one rule for labels and whole numbers, wherever either is given."""

import numpy as np
import pytest
import torch

from tests.losses.oracle import case, each_loss, value_and_gradient
from xbmlib.drift import DriftProbe
from xbmlib.losses import ContrastiveLoss
from xbmlib.queue import CrossBatchMemory
from xbmlib.recall import map_at_r, neighbours, one_per_class, recall_at_k
from xbmlib.sampler import PKSampler, ShuffleSampler
from xbmlib.xbm import XBM

DTYPES = [torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32,
          torch.uint64, torch.bool]  # fmt: skip
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


@each_loss
@each_dtype
def test_losses(kind, settings, dtype):
    """Oracle: the same call with int64, to the last bit; uint8 is no mask, 255 no overflow."""
    anchors, labels, memory, memory_labels, own = case(dtype=torch.float32)
    high = 1 if dtype == torch.bool else 100
    wide = [(y > 0).long() * high for y in (labels, memory_labels)]
    narrow = [y.to(dtype) for y in wide]
    slots = own if dtype == torch.bool else own.to(dtype)
    for rest in ((), (memory,)):
        named = ({"own": own}, {"own": slots}) if rest else ({}, {})
        found = [
            value_and_gradient(
                kind(**settings), anchors, y[0], *rest, *(y[1:] if rest else ()), **name
            )
            for y, name in zip((wide, narrow), named, strict=True)
        ]
        for wanted, got in zip(*found, strict=True):
            assert torch.equal(wanted, got)
    arguments = memory, narrow[1]
    assert torch.equal(
        kind(**settings).weights(anchors, narrow[0], *arguments, own=slots),
        kind(**settings).weights(anchors, wide[0], memory, wide[1], own=own),
    )


@each_loss
@pytest.mark.parametrize("end", [-(2**63), 2**63 - 3], ids=["lowest", "highest"])
def test_the_ends_of_int64(kind, settings, end):
    """Oracle: the same classes under small labels."""
    anchors, labels, memory, memory_labels, own = case(classes=3)
    wanted = value_and_gradient(kind(**settings), anchors, labels, memory, memory_labels, own=own)
    moved = [y + 1 + end for y in (labels, memory_labels)]
    got = value_and_gradient(kind(**settings), anchors, moved[0], memory, moved[1], own=own)
    for g, w in zip(got, wanted, strict=True):
        assert torch.equal(g, w)


def embeddings():
    """24 of them."""
    return torch.randn(24, 4, generator=torch.Generator().manual_seed(0))


def assert_equal_throughout(other, labels, stored):
    """Queue, sampler and recall take ``other`` as the same classes as ``labels``; the queue holds
    ``stored``.
    """
    v = embeddings()
    memory = CrossBatchMemory(30, 4)
    memory.enqueue(v, other, other)
    assert torch.equal(memory.labels, stored) and torch.equal(memory.ids, stored)
    assert list(PKSampler(other, 2, 3, steps=4)) == list(PKSampler(labels, 2, 3, steps=4))
    for measure in (
        lambda y: recall_at_k(v, y, [1, 2]),
        lambda y: recall_at_k(v[:9], y[:9], [1], v[9:], y[9:]),
        lambda y: map_at_r(v, y),
        lambda y: one_per_class(v, y, [1]),
    ):
        assert measure(other) == measure(labels)


@pytest.mark.parametrize("end", [-(2**63), 2**63 - 3], ids=["lowest", "highest"])
def test_queue_sampler_and_recall_at_the_ends_of_int64(end):
    """Oracle: the same classes under small labels."""
    labels = torch.arange(24) % 3
    far = labels + end
    assert_equal_throughout(far, labels, stored=far)


@each_dtype
def test_queue_sampler_and_recall(dtype):
    """Oracle: the same with int64."""
    labels = torch.arange(24) % 2
    narrow = labels.to(dtype)
    v = embeddings()
    assert_equal_throughout(narrow, labels, stored=labels)
    xbm = XBM(ContrastiveLoss(), size=30, dim=4, start=0)
    value = xbm(v.clone().requires_grad_(), narrow)
    assert value == XBM(ContrastiveLoss(), size=30, dim=4, start=0)(v.requires_grad_(), labels)


@pytest.mark.parametrize(
    "labels",
    [torch.zeros(4), torch.zeros(4, dtype=torch.complex64), np.zeros(4), ["a"] * 4],
    ids=["float", "complex", "numpy", "strings"],
)
def test_anything_else_is_refused(labels):
    """Oracle: the message names labels and the remedy."""
    v = torch.eye(4)
    for call in (
        lambda: ContrastiveLoss()(v, labels),
        lambda: ContrastiveLoss()(v, torch.arange(4), v, labels),
        lambda: CrossBatchMemory(5, 4).enqueue(v, labels),
        lambda: recall_at_k(v, labels, [1]),
        lambda: PKSampler(labels, 1, 1, steps=1),
    ):
        with pytest.raises(ValueError, match=r"labels.*(integers|tensor)"):
            call()


@pytest.mark.parametrize("own", [torch.zeros(2), torch.zeros(2, dtype=torch.bool)], ids=str)
def test_a_slot_is_no_mask(own):
    """Oracle: the message."""
    v, labels = torch.eye(2), torch.arange(2)
    with pytest.raises(ValueError, match=f"own of {own.dtype}: give integers"):
        ContrastiveLoss()(v, labels, v, labels, own=own)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_numpys_integers(kind):
    """Oracle: the same with Python's."""
    n = kind
    assert CrossBatchMemory(n(10), n(2)).features.shape == (10, 2)
    assert XBM(ContrastiveLoss(), size=n(9), dim=n(2), start=n(3)).start == 3
    labels = torch.arange(12) % 4
    found = PKSampler(labels, n(2), n(2), steps=n(3), seed=n(7))
    assert list(found) == list(PKSampler(labels, 2, 2, steps=3, seed=7))
    assert found.batch(n(2)) == found.batch(2)
    shuffled = ShuffleSampler(n(9), n(4), steps=n(3), seed=n(7))
    assert list(shuffled) == list(ShuffleSampler(9, 4, steps=3, seed=7))
    v = torch.eye(4)
    assert recall_at_k(v, labels[:4], [n(1)]) == recall_at_k(v, labels[:4], [1])
    assert torch.equal(neighbours(v, n(2))[1], neighbours(v, 2)[1])
    assert DriftProbe([n(2)], [n(4)]).due(2)


@pytest.mark.parametrize("number", [1.5, "2", True, None, np.float64(2)], ids=repr)
def test_other_numbers_are_refused(number):
    """Oracle: the message asks for a whole number."""
    labels, v = torch.arange(4) % 2, torch.eye(4)
    for call in (
        lambda: CrossBatchMemory(number, 2),
        lambda: CrossBatchMemory(2, number),
        lambda: XBM(ContrastiveLoss(), size=2, dim=2, start=number),
        lambda: PKSampler(labels, number, 1, steps=1),
        lambda: PKSampler(labels, 1, 1, steps=1, seed=number),
        lambda: ShuffleSampler(4, 2, steps=number),
        lambda: recall_at_k(v, labels, [number]),
        lambda: neighbours(v, number),
        lambda: DriftProbe([number], [4]),
    ):
        with pytest.raises(ValueError, match="give a whole number"):
            call()
