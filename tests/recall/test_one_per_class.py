"""Tests of re-identification's protocol against loops over every pair."""

import pytest
import torch

from xbmlib.recall import one_per_class
from xbmlib.recall.one_per_class import first_of_each


def case(n=60, classes=12, seed=0):
    """Embeddings of norm 1 with labels that are not consecutive."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (n,), generator=generator) * 7 - 20
    v = torch.randn(n, 5, generator=generator) + labels[:, None] % 5
    return torch.nn.functional.normalize(v), labels


def hit(query, label, others, labels, k):
    """Whether fewer than k images of other classes are as near as the best of its own."""
    own = [float(query @ o) for o, y in zip(others, labels, strict=True) if y == label]
    if not own:
        return False
    ahead = [
        float(query @ o) >= max(own) for o, y in zip(others, labels, strict=True) if y != label
    ]
    return sum(ahead) < k


def test_first_of_each_class():
    """Oracle: a walk along the order."""
    _, labels = case()
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    seen = {}
    for i in order.tolist():
        seen.setdefault(int(labels[i]), i)
    assert sorted(first_of_each(labels, order).tolist()) == sorted(seen.values())


def test_one_per_class_is_the_mean_of_its_draws():
    """Oracle: every query against every gallery image, in plain Python, draw after draw."""
    v, labels = case()
    generator, draws = torch.Generator().manual_seed(2020), 4
    found = {1: [], 3: []}
    for _ in range(draws):
        gallery = set(first_of_each(labels, torch.randperm(60, generator=generator)).tolist())
        queries = [i for i in range(60) if i not in gallery]
        others, ys = v[sorted(gallery)], labels[sorted(gallery)].tolist()
        for k, hits in found.items():
            hits += [hit(v[i], int(labels[i]), others, ys, k) for i in queries]
    for k, value in one_per_class(v, labels, (1, 3), draws).items():
        assert value == pytest.approx(sum(found[k]) / len(found[k]))
    with pytest.raises(ValueError, match="draws=0"):
        one_per_class(v, labels, (1,), 0)


def test_a_mean_of_fractions_is_one():
    """Oracle: by hand: perfect embeddings; the mean of any number of ones."""
    v, labels = torch.eye(4).repeat(3, 1), torch.arange(4).repeat(3)
    for draws in (1, 3, 6, 9, 10, 49):
        (value,) = one_per_class(v, labels, (1,), draws).values()
        assert value <= 1 and value == pytest.approx(1)
