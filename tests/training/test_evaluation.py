"""Tests of a data set's protocols against loops over every pair."""

import pytest
import torch

from xbmlib.datasets import ImageSet, Retrieval
from xbmlib.recall import one_per_class
from xbmlib.recall.one_per_class import first_of_each
from xbmlib.training.evaluation import evaluate


def case(n=60, classes=12, seed=0):
    """Unit vectors with labels that are not consecutive."""
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


def test_each_list_under_both_protocols():
    """Oracle: leave-one-out by loops within a list; names tell list and protocol apart."""
    v, labels = case()
    images = ImageSet(torch.arange(60, dtype=torch.uint8)[:, None, None, None], labels)
    lists = {"small": torch.arange(0, 60, 2), "large": torch.arange(60)}
    data = Retrieval("x", images, images, None, (1, 3), "", lists)
    calls = []

    def embed(x):
        calls.append(len(x))
        return v[x.images.flatten().long()]

    found = evaluate(data, embed)
    assert calls == [60]
    assert set(found) == {"MAP@R"} | {
        f"{prefix}R@{k}"
        for prefix in ("", *(f"{n}{p}" for n in lists for p in (" ", ", one per class ")))
        for k in (1, 3)
    }
    for name, rows in lists.items():
        for k in (1, 3):
            hits = []
            for i in rows.tolist():
                rest = [j for j in rows.tolist() if j != i]
                ys = labels[rest].tolist()
                hits.append(hit(v[i], int(labels[i]), v[rest], ys, k))
            assert found[f"{name} R@{k}"] == pytest.approx(sum(hits) / len(hits))
        assert found[f"{name}, one per class R@1"] == one_per_class(v[rows], labels[rows], (1,))[1]
    assert found["large R@1"] == found["R@1"]
