"""Tests of the nearest images that a run keeps."""

import pandas as pd
import pytest
import torch

from xbmlib import datasets
from xbmlib.datasets import ImageSet, Retrieval
from xbmlib.training.callbacks.neighbours import TOP, nearest_images, sample
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import run_experiment
from xbmlib.training.store import RunStore
from xbmlib.training.trainer import Trainer


def images(n, seed):
    """Random images of few classes, so that some of the nearest are correct."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return ImageSet(pixels, torch.randint(0, 5, (n,), generator=generator))


def embed(given):
    """Unit vectors in float32."""
    flat = given.images.float().flatten(1) - 128
    return flat / flat.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("gallery", [None, images(30, 1)], ids=["leave one out", "gallery"])
def test_rows_equal_a_loop(gallery):
    """Oracle: every query's similarities in float64, sorted by Python."""
    data = Retrieval("x", images(9, 2), images(40, 0), gallery, (1,), "x")
    found = nearest_images(data, embed, 12)
    searched = data.query if gallery is None else gallery
    assert len(found) == 12 * TOP and found["query"].nunique() == 12
    queries, others = embed(data.query).double(), embed(searched).double()
    sampled = sample(40, 12).tolist()
    for (query, rows), wanted in zip(found.groupby("query", sort=False), sampled, strict=True):
        assert query == wanted
        s = {j: float(queries[query] @ others[j]) for j in range(len(searched))}
        if gallery is None:
            del s[query]
        best = sorted(s, key=s.get, reverse=True)[:TOP]
        assert rows["neighbour"].tolist() == best and rows["rank"].tolist() == [1, 2, 3, 4]
        assert rows["similarity"].tolist() == pytest.approx([s[j] for j in best], abs=1e-6)
        label = data.query.labels[query]
        assert rows["correct"].tolist() == [bool(searched.labels[j] == label) for j in best]


def test_the_sample():
    """Oracle: set arithmetic; a larger sample begins with a smaller one, too large a one is all."""
    assert sample(50, 9).tolist() == sample(50, 30).tolist()[:9]
    assert sorted(sample(50, 99).tolist()) == list(range(50))
    data = Retrieval("x", images(9, 2), images(40, 0), None, (1,), "x")
    assert nearest_images(data, embed, 0).empty


def test_a_run_keeps_what_its_model_finds(tmp_path, monkeypatch):
    """Oracle: a second Trainer's embeddings; the other numbers are those of a run without."""
    whole = datasets.load("hanzi")
    few = [s.of_classes(s.classes[:30]) for s in (whole.train, whole.query)]
    data = Retrieval("hanzi", *few, None, (1,), "small")
    monkeypatch.setattr(datasets, "load", lambda name, split, view: data)
    plain = Experiment(batch=8, k=2, steps=6, start=2, ratio=0.1, dim=16)
    kept = run_experiment(plain.replace(neighbours=10), RunStore(tmp_path))
    bare = run_experiment(plain, RunStore(tmp_path))
    assert kept.id != bare.id and kept.recall == bare.recall and bare.neighbours.empty
    trainer = Trainer(plain, data, tmp_path / "checkpoint.pt")
    trainer.train()
    again = nearest_images(data, trainer.embed, 10)
    pd.testing.assert_frame_equal(kept.neighbours, again, check_exact=True)
