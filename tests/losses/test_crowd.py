"""Tests of a memory most of which is above the bound: summed tile by tile, by one read."""

import pytest
import torch
from torch.nn import functional as F

from tests.losses.oracle import (
    brute_batch,
    case,
    each_loss,
    each_setting,
    filled,
    outcome,
    owners,
    value_and_gradient,
)
from xbmlib.losses import (
    ContrastiveLoss,
    MultiSimilarityLoss,
    TripletLoss,
    candidates,
    crowd,
    gradient,
)


@pytest.fixture
def crowded(monkeypatch):
    """Every memory is a crowd at once, in several uneven tiles; how many tiles were summed."""
    for module in (candidates, gradient):
        monkeypatch.setattr(module, "TILE_ENTRIES", 7)
    monkeypatch.setattr(candidates, "TILE_SIMILARITIES", 1)
    monkeypatch.setattr(candidates, "CROWD_LIMIT", 0)
    return counted(monkeypatch)


def counted(monkeypatch):
    """Sizes of the tiles that are summed from now on."""
    sizes, add = [], crowd._Negatives.add

    def watched(self, s, entries):
        sizes.append(len(entries))
        add(self, s, entries)

    monkeypatch.setattr(crowd._Negatives, "add", watched)
    return sizes


@each_setting
@pytest.mark.parametrize("mode", ["all", "none", "-1", "some"])
@pytest.mark.parametrize("classes", [1, 4, 30])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_crowd_by_the_loops(kind, settings, mode, classes, dtype, crowded):
    """Oracle: the loops over pairs; one class has no negatives, 30 leave anchors no positives."""
    anchors, labels, memory, memory_labels, own = case(classes=classes, seed=4, dtype=dtype)
    own = owners(mode, own)
    total, terms, weights, signs, grad = brute_batch(
        kind, settings, anchors, labels, memory, memory_labels, own
    )
    near = {"rtol": 1e-9, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-6}
    for reduction, scale in (("sum", len(labels)), ("mean", max(1, terms))):
        value, found, negatives, positives = value_and_gradient(
            kind(**settings, reduction=reduction), anchors, labels, memory, memory_labels, own=own
        )
        wanted = torch.tensor(total / scale, dtype=dtype)
        torch.testing.assert_close(value, wanted, **near)
        torch.testing.assert_close(found, (grad / scale).to(dtype), **near)
    assert torch.equal(negatives, ((weights > 0) & (signs > 0)).sum(1))
    assert torch.equal(positives, ((weights > 0) & (signs < 0)).sum(1))
    assert len(crowded) > 3 or classes == 1


@each_setting
@pytest.mark.parametrize("named", [{}, {"shadow": True}, {"dtype": torch.bfloat16}], ids=str)
def test_a_crowd_is_the_same_as_blocks(kind, settings, named, request):
    """Oracle: the blocks; a memory of any precision, entries that no tile is taken whole for."""
    memory, anchors, labels, own = filled(**named)
    loss = kind(**settings)
    wanted = outcome(loss, memory, anchors, labels, own, memory.shadow)
    sizes = request.getfixturevalue("crowded")
    got = outcome(loss, memory, anchors, labels, own, memory.shadow)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert sizes and max(sizes) <= 7


@each_setting
@pytest.mark.parametrize("spread", [1.0, 1e-3], ids=["spread", "collapsed"])
def test_a_large_crowd(kind, settings, spread, monkeypatch):
    """Oracle: blocks in float64; of float32, before training and where all embeddings agree."""
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(16, generator=generator)
    v = F.normalize(centre * (1 - spread) + spread * torch.randn(20064, 16, generator=generator))
    labels = torch.randint(0, 3000, (20064,), generator=generator)
    arguments = v[:64], labels[:64], v[64:], labels[64:]
    sizes = counted(monkeypatch)
    monkeypatch.setattr(candidates, "CROWD_LIMIT", 1 << 18)
    got = value_and_gradient(kind(**settings), *arguments)
    assert sum(sizes) > 10_000
    monkeypatch.setattr(candidates, "CROWD_LIMIT", candidates.NO_LIMIT)
    wide = (t.double() if t.is_floating_point() else t for t in arguments)
    wanted = value_and_gradient(kind(**settings), *wide)
    assert got[0].item() == pytest.approx(wanted[0].item(), rel=2e-7)
    error = (got[1] - wanted[1]).norm()
    assert error < (1e-5 if spread == 1 else 1e-3) * wanted[1].norm()


@each_loss
@pytest.mark.parametrize("where", ["anchors", "memory"])
def test_a_crowd_with_a_nan(kind, settings, where, crowded):
    """Oracle: a diverged model's NaN reaches the loss."""
    anchors, labels, memory, memory_labels = case()[:4]
    (anchors if where == "anchors" else memory)[5] = torch.nan
    assert kind(**settings)(anchors, labels, memory, memory_labels).isnan() and crowded


@each_loss
def test_a_subclass_that_weighs_otherwise(kind, settings, crowded):
    """Oracle: its own weights, which the statistics of its parent do not describe."""

    class Twice(kind):
        def weigh(self, positives, negatives):
            found = super().weigh(positives, negatives)
            return found._replace(
                loss=2 * found.loss, positives=2 * found.positives, negatives=2 * found.negatives
            )

    arguments = case()[:4]
    once = value_and_gradient(kind(**settings), *arguments)
    twice = value_and_gradient(Twice(**settings), *arguments)
    for a, b in zip(twice[:2], once[:2], strict=True):
        torch.testing.assert_close(a, 2 * b)
    with pytest.raises(ValueError, match=r"Twice declares no stream.*beside `weigh`"):
        Twice(**settings, method="one_pass")(*arguments)


@each_loss
def test_a_subclass_with_another_bound(kind, settings, crowded):
    """Oracle: the loss itself: a lower bound lets more be weighed, and changes no weight."""

    class Lower(kind):
        def bound(self, positives):
            return super().bound(positives) - 0.5

    arguments = case()[:4]
    found = value_and_gradient(Lower(**settings), *arguments)[:2]
    assert not crowded
    for a, b in zip(found, value_and_gradient(kind(**settings), *arguments)[:2], strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("beta, lam", [(200.0, 0.5), (50.0, -1.0)])
def test_an_anchor_without_negatives_beside_a_large_beta(beta, lam, crowded):
    """Oracle: the loops over pairs; e^(β (S - λ)) leaves float32 where nothing is valid."""
    anchors, labels, memory, memory_labels, _ = case(classes=2, seed=4, dtype=torch.float32)
    # The first class is the memory's alone: its anchors have no negative.
    memory_labels = torch.full_like(memory_labels, int(labels[0]))
    settings = {"beta": beta, "lam": lam}
    loss = MultiSimilarityLoss(**settings)
    total, *_, grad = brute_batch(
        MultiSimilarityLoss, settings, anchors, labels, memory, memory_labels, None
    )
    value, found = value_and_gradient(loss, anchors, labels, memory, memory_labels)[:2]
    assert value.item() == pytest.approx(total / len(labels), rel=1e-5)
    torch.testing.assert_close(found, (grad / len(labels)).float(), rtol=1e-4, atol=1e-5)
    assert crowded


def test_many_positives_and_functions_for_a_gpu_go_in_blocks():
    """Oracle: by hand: positives of one anchor, from the most that are compared one by one on."""
    few = torch.zeros(2, crowd.FEW_RANKS)
    many = torch.zeros(2, crowd.FEW_RANKS + 1)
    ranks, alone = TripletLoss().stream(), ContrastiveLoss().stream()
    assert crowd.fits(ranks, few) and not crowd.fits(ranks, many)
    assert crowd.fits(ranks, F.pad(few, (0, 9), value=torch.inf))
    assert crowd.fits(alone, many) and not crowd.fits(alone._replace(weight=max), many)
    assert not crowd.fits(None, few)
    assert not crowd.fits(alone, torch.zeros(2, crowd.POSITIVES_LIMIT))
