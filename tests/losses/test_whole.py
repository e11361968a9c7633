"""Tests of the losses with every entry a column, as a GPU takes a small memory; here on a CPU."""

import pytest
import torch

from tests.losses.test_pairs import value_and_gradient
from tests.losses.test_shadow import filled, outcome
from tests.losses.test_values import brute_batch, case, each_setting, owners
from xbmlib.losses import candidates, pairs


@pytest.fixture
def whole(monkeypatch):
    """The way that a GPU goes, and parts that are smaller than the memory."""
    monkeypatch.setitem(candidates.DENSE_LIMIT, "cpu", 1 << 30)
    for module in (candidates, pairs):
        monkeypatch.setattr(module, "TILE_ENTRIES", 3)

    def no_search(*arguments):
        raise AssertionError("the memory is searched")

    monkeypatch.setattr(candidates, "_search_above", no_search)


@each_setting
@pytest.mark.parametrize("mode", ["all", "none", "-1", "some"])
def test_by_the_loops(kind, settings, mode, whole):
    """Oracle: the loops over pairs, against the memory and within the batch."""
    anchors, labels, memory, memory_labels, own = case()
    own = owners(mode, own)
    total, _, weights, _, grad = brute_batch(
        kind, settings, anchors, labels, memory, memory_labels, own
    )
    loss = kind(**settings)
    value, gradient, negatives, positives = value_and_gradient(
        loss, anchors, labels, memory, memory_labels, own=own
    )
    assert value.item() == pytest.approx(total / len(labels))
    torch.testing.assert_close(gradient, grad / len(labels))
    same = labels[:, None] == memory_labels
    assert negatives.tolist() == ((weights > 0) & ~same).sum(1).tolist()
    assert positives.tolist() == ((weights > 0) & same).sum(1).tolist()
    torch.testing.assert_close(
        loss.weights(anchors, labels, memory, memory_labels, own=own), weights
    )
    total, *_ = brute_batch(
        kind, settings, anchors, labels, anchors, labels, torch.arange(len(labels))
    )
    assert loss(anchors, labels).item() == pytest.approx(total / len(labels))
    z = anchors.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), z, atol=1e-4)


@each_setting
@pytest.mark.parametrize("named", [{}, {"shadow": True}, {"dtype": torch.bfloat16}], ids=str)
def test_same_as_the_search(kind, settings, named, request):
    """Oracle: the search; a memory of any precision, a class that no anchor has, a NaN."""
    memory, anchors, labels, own = filled(**named)
    loss = kind(**settings)
    wanted = outcome(loss, memory, anchors, labels, own, memory.shadow)
    broken = memory.embeddings.clone()
    broken[5] = torch.nan
    alone = loss(anchors, labels + 1000, memory.embeddings, memory.labels)
    lost = loss(anchors, labels, broken, memory.labels)
    request.getfixturevalue("whole")
    got = outcome(loss, memory, anchors, labels, own, memory.shadow)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        loss(anchors, labels + 1000, memory.embeddings, memory.labels), alone
    )
    assert lost.isnan() and loss(anchors, labels, broken, memory.labels).isnan()
