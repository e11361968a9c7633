"""Tests of the retrieval measures against sorting, and against a peer library."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch.nn import functional as F

from xbmlib.recall import ahead, map_at_r, one_per_class, r_precision, recall_at_k, tiles

KS = (1, 2, 5)


def brute(query, query_labels, gallery=None, gallery_labels=None):
    """R@K, MAP@R and R-precision by sorting; at equal similarity another class comes first."""
    alone = gallery is None
    if alone:
        gallery, gallery_labels = query, query_labels
    hits_at, average, precision = dict.fromkeys(KS, 0), 0.0, 0.0
    for i, v in enumerate(query):
        found = sorted(
            (-float(v @ g), bool(gallery_labels[j] == query_labels[i]))
            for j, g in enumerate(gallery)
            if not (alone and i == j)
        )
        hits = [hit for _, hit in found]
        r = sum(hits)
        for k in KS:
            hits_at[k] += any(hits[:k])
        if r:
            precision += sum(hits[:r]) / r
            average += sum(sum(hits[: n + 1]) / (n + 1) for n in range(r) if hits[n]) / r
    n = len(query)
    return {k: v / n for k, v in hits_at.items()}, average / n, precision / n


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(2, 30),
    gallery_size=st.integers(0, 25),
    classes=st.integers(1, 8),
    seed=st.integers(0, 10_000),
    tile=st.sampled_from([1, 60, 1 << 20]),
)
def test_equals_brute_force_with_ties(n, gallery_size, classes, seed, tile):
    """Oracle: sorting with the stated rule, on vectors of small integers, so that many tie.

    Small integers multiply exactly in any order, so the oracle's ties are ties here too.
    """
    generator = torch.Generator().manual_seed(seed)
    query = torch.randint(-2, 3, (n, 2), generator=generator).float()
    labels = torch.randint(0, classes, (n,), generator=generator)
    args = (query, labels)
    if gallery_size:
        args += (
            torch.randint(-2, 3, (gallery_size, 2), generator=generator).float(),
            torch.randint(0, classes + 1, (gallery_size,), generator=generator),
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE", tile)
        patch.setattr(ahead, "TILE_SIDE", 16 if tile == 60 else 2048)
        found = recall_at_k(*args[:2], KS, *args[2:]), map_at_r(*args), r_precision(*args)
    wanted = brute(*args)
    assert found[0] == pytest.approx(wanted[0])
    assert found[1:] == pytest.approx(wanted[1:])


def test_collapsed_embeddings_score_0():
    """Oracle: the rule for ties. Peers that drop "the first neighbour" score these 100%."""
    query, labels = torch.ones(20, 4), torch.arange(20) // 2
    assert recall_at_k(query, labels, (1, 17, 18, 19)) == {1: 0, 17: 0, 18: 0, 19: 1}
    assert map_at_r(query, labels) == 0


def test_duplicates_of_another_class_rank_first():
    """Oracle: by hand, at sizes that are no multiple of a vector register's."""
    generator = torch.Generator().manual_seed(0)
    base = F.normalize(torch.randn(37, 131, generator=generator))
    query, labels = torch.cat([base, base, base]), torch.tensor([0, 0, 1]).repeat_interleave(37)
    labels = labels + 2 * torch.arange(37).repeat(3)
    # Each of the first two copies has its match and a duplicate of another class equally near.
    found = recall_at_k(query, labels, (1, 2))
    assert found == pytest.approx({1: 0, 2: 2 / 3})


@pytest.mark.parametrize("width", [16, 64, 100, 131, 257])
@pytest.mark.parametrize("n", [1, 7, 37, 101])
@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_equal_vectors_tie_wherever_they_stand(width, n, rows, monkeypatch):
    """Oracle: the rule for ties. Each query's match has a twin of another class: no query scores.

    A matrix product rounds a column's sum by the column's place and the tile's shape, so that
    equal vectors would not tie by themselves. Zeros are equal whatever their signs.
    """
    monkeypatch.setattr(tiles, "TILE", rows * 3 * n)
    monkeypatch.setattr(ahead, "TILE_SIDE", max(16, rows))
    generator = torch.Generator().manual_seed(n)
    base = torch.randn(n, width, generator=generator)
    base[:, ::5] = 0.0
    base = F.normalize(base)
    twin = torch.where(base == 0, -0.0, base)
    gallery, places = torch.cat([base, twin, twin]), torch.arange(n)
    labels = torch.cat([places, places + n, places + n])
    shuffled = torch.randperm(3 * n, generator=generator)
    args = base, places, gallery[shuffled], labels[shuffled]
    found = recall_at_k(*args[:2], [1, 2, 3], *args[2:])
    assert found == {1: 0, 2: 0, 3: 1}
    assert r_precision(*args) == map_at_r(*args) == 0


@pytest.mark.parametrize("classes", [1, 3, 40, 600])
def test_memory_is_bounded(classes, monkeypatch):
    """Oracle: the sizes of all tensors that the measures make, from PyTorch's own profiler.

    None is much larger than one tile of similarities, be there many classes or a single large one.
    """
    monkeypatch.setattr(tiles, "TILE", 1 << 15)
    monkeypatch.setattr(ahead, "TILE_SIDE", 128)
    query, labels = torch.randn(600, 4), torch.arange(600) % classes
    with torch.profiler.profile(profile_memory=True) as profile:
        recall_at_k(query, labels, [1])
        map_at_r(query, labels)
    largest = max(e.cpu_memory_usage for e in profile.events() if e.name != "[memory]")
    assert largest <= 1.1 * (4 << 15)


def test_equals_peer_without_ties():
    """Oracle: pytorch-metric-learning's AccuracyCalculator."""
    generator = torch.Generator().manual_seed(1)
    query = F.normalize(torch.randn(60, 8, generator=generator))
    labels = torch.arange(60) % 11
    peer = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r", "r_precision"), k="max_bin_count"
    ).get_accuracy(query, labels)
    assert recall_at_k(query, labels, [1])[1] == pytest.approx(peer["precision_at_1"])
    assert map_at_r(query, labels) == pytest.approx(peer["mean_average_precision_at_r"])
    assert r_precision(query, labels) == pytest.approx(peer["r_precision"])


def test_queries_without_a_match_are_misses():
    """Oracle: by hand."""
    query, labels = torch.eye(3), torch.tensor([0, 0, 5])
    assert recall_at_k(query, labels, [2])[2] == pytest.approx(2 / 3)
    assert recall_at_k(query, labels, [9], torch.eye(3), torch.full((3,), 7)) == {9: 0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q, y: recall_at_k(q, y, []), "K"),
        (lambda q, y: recall_at_k(q, y, [0, 1]), r"ks=\(0, 1\)"),
        (lambda q, y: recall_at_k(q, y, 1), r"ks=1: give a list of K, such as \[1, 10\]"),
        (lambda q, y: one_per_class(q, y, 1), r"ks=1: give a list of K"),
        (lambda q, y: one_per_class(q, y[:2], [1]), "labels"),
        (lambda q, y: one_per_class(q, y[:, None], [1]), "labels"),
        (lambda q, y: one_per_class(q[:0], y[:0], [1]), "at least 1"),
        (lambda q, y: one_per_class(q, torch.arange(len(y)), [1]), "no two of one class"),
        (lambda q, y: recall_at_k(q.numpy(), y, [1]), "query of type ndarray: give a tensor"),
        (lambda q, y: recall_at_k(q, y, [1], q.tolist(), y), "gallery of type list: give a tensor"),
        (lambda q, y: recall_at_k(q[:0], y[:0], [1]), "at least 1"),
        (lambda q, y: recall_at_k(q, y[:2], [1]), "labels"),
        (lambda q, y: recall_at_k(q, y, [1], gallery=q), "both"),
        (lambda q, y: recall_at_k(q, y, [1], q[:, :1], y), "D = 1"),
        (lambda q, y: recall_at_k(q, y, [1], q, y[:2]), "labels"),
        (lambda q, y: recall_at_k(q, y, [1], q[:0], y[:0]), r"gallery \(0, 2\)"),
        (lambda q, y: recall_at_k(q[:, 0], y, [1]), r"query \(4,\)"),
        (lambda q, y: map_at_r(q * torch.nan, y), "finite"),
        (lambda q, y: r_precision(q, y, q / 0, y), "gallery.*finite"),
    ],
)
def test_bad_input(call, message):
    """Oracle: the message names the argument and the fault."""
    with pytest.raises(ValueError, match=message):
        call(torch.rand(4, 2), torch.tensor([0, 0, 1, 1]))
