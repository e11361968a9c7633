"""Tests of a data set's protocols against loops over every pair."""

import pytest
import torch

from tests.recall.test_one_per_class import case, hit
from xbmlib.datasets import ImageSet, Retrieval
from xbmlib.recall import one_per_class
from xbmlib.training.callbacks.evaluation import evaluate


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
