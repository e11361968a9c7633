"""Tests of the search for pairs: in blocks, in bfloat16 decided in float32, and dense."""

import pytest
import torch
from torch.nn import functional as F

from tests.losses.oracle import (
    D,
    M,
    brute_batch,
    case,
    each_loss,
    each_setting,
    filled,
    outcome,
    owners,
    value_and_gradient,
)
from xbmlib.losses import ContrastiveLoss, candidates, gradient
from xbmlib.losses.candidates import BF16_ERROR
from xbmlib.queue import CrossBatchMemory


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
    for module in (candidates, gradient):
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


@each_setting
@pytest.mark.parametrize("norm", [1.0, 3.0])
def test_a_shadow_gives_the_same_as_float32(kind, settings, norm):
    """Oracle: the same call in float32 throughout, for entries of any norm."""
    memory, anchors, labels, own = filled(shadow=True)
    memory.enqueue(norm * memory.embeddings.flip(0)[:500], memory.labels.flip(0)[:500])
    own = torch.full_like(own, -1)
    loss = kind(**settings)
    wanted = outcome(loss, memory, anchors, labels, own, None)
    got = outcome(loss, memory, anchors, labels, own, memory.shadow)
    assert wanted[2].sum() > 0
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    same = (anchors, labels, memory.embeddings, memory.labels)
    torch.testing.assert_close(loss.weights(*same, shadow=memory.shadow), loss.weights(*same))


@pytest.mark.parametrize("sign", [-1, 1], ids=["below", "above"])
def test_pairs_that_bfloat16_puts_on_the_wrong_side(sign):
    """Oracle: the sign of S - λ in float64, for pairs that bfloat16's rounding moves across λ."""
    generator = torch.Generator().manual_seed(0)
    anchors, memory = (F.normalize(torch.randn(n, D, generator=generator)) for n in (40, 20000))
    exact = anchors.double() @ memory.double().T
    rough = (anchors.bfloat16() @ memory.bfloat16().T).double()
    lam = 0.3
    moved = (exact > lam) != (rough > lam)
    moved &= (exact > lam) == (sign > 0)
    assert moved.sum() > 20
    labels, others = torch.zeros(40, dtype=torch.int64), torch.ones(20000, dtype=torch.int64)
    shadow = memory.bfloat16(), torch.tensor(1.0)
    found = ContrastiveLoss(lam).weights(anchors, labels, memory, others, shadow=shadow)
    assert torch.equal(found > 0, exact > lam)
    # A rough product alone would have got these wrong.
    assert ((found[moved] > 0) == (sign > 0)).all()


def test_the_error_of_a_bfloat16_product_is_within_its_bound():
    """Oracle: float64, over vectors made to round badly: each value halfway between two."""
    generator = torch.Generator().manual_seed(1)
    for d in (8, 64, 512):
        v, w = (torch.randint(128, 256, (200, d), generator=generator) + 0.499 for _ in range(2))
        v, w = F.normalize(v), F.normalize(w * torch.sign(torch.randn(d, generator=generator)))
        error = (v.bfloat16() @ w.bfloat16().T).double() - v.double() @ w.double().T
        assert error.abs().max() < 0.75 * BF16_ERROR


@each_loss
def test_bfloat16_memory_is_decided_in_float32(kind, settings):
    """Oracle: the same rounded entries as a float32 memory; bf16 does not decide."""
    memory, anchors, labels, own = filled(dtype=torch.bfloat16)
    exact = CrossBatchMemory(M, D)
    exact.load_state_dict(memory.float().state_dict())
    rounded = outcome(kind(**settings), exact, anchors, labels, own, None)
    got = outcome(kind(**settings), filled(dtype=torch.bfloat16)[0], anchors, labels, own, None)
    for a, b in zip(got, rounded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.fixture
def dense(monkeypatch):
    """Blocks dense on a CPU as on a GPU, and tiles that are smaller than the memory."""
    monkeypatch.setitem(candidates.DENSE_LIMIT, "cpu", 1 << 30)
    for module in (candidates, gradient):
        monkeypatch.setattr(module, "TILE_ENTRIES", 3)

    def no_search(*arguments):
        raise AssertionError("the memory is searched")

    monkeypatch.setattr(candidates, "_screen", no_search)


@each_setting
@pytest.mark.parametrize("mode", ["all", "none", "-1", "some"])
def test_dense_by_the_loops(kind, settings, mode, dense):
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
def test_dense_is_the_same_as_the_search(kind, settings, named, request):
    """Oracle: the search; a memory of any precision, a class that no anchor has, a NaN."""
    memory, anchors, labels, own = filled(**named)
    loss = kind(**settings)
    wanted = outcome(loss, memory, anchors, labels, own, memory.shadow)
    broken = memory.embeddings.clone()
    broken[5] = torch.nan
    alone = loss(anchors, labels + 1000, memory.embeddings, memory.labels)
    lost = loss(anchors, labels, broken, memory.labels)
    request.getfixturevalue("dense")
    got = outcome(loss, memory, anchors, labels, own, memory.shadow)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        loss(anchors, labels + 1000, memory.embeddings, memory.labels), alone
    )
    assert lost.isnan() and loss(anchors, labels, broken, memory.labels).isnan()
