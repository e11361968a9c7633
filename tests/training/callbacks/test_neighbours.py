"""Tests of what a run keeps of its neighbours, and of the study of them."""

import pandas as pd
import pytest
import torch

from xbmlib import datasets
from xbmlib.datasets import ImageSet, Retrieval
from xbmlib.plots.retrievals import retrieved as plot
from xbmlib.study.figures import retrievals as study
from xbmlib.training.callbacks.neighbours import TOP, nearest_images, sample
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import run_experiment
from xbmlib.training.store import RunStore
from xbmlib.training.trainer import Trainer


def images(n, seed):
    """Random pictures of few classes, so that some of the nearest are correct."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (n, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return ImageSet(pictures, torch.randint(0, 5, (n,), generator=generator))


def embed(pictures):
    """Unit vectors in float32."""
    flat = pictures.images.float().flatten(1) - 128
    return flat / flat.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("gallery", [None, images(30, 1)], ids=["leave one out", "gallery"])
def test_rows_equal_a_loop(gallery):
    """Oracle: every query's similarities in float64, sorted by Python."""
    data = Retrieval("x", images(9, 2), images(40, 0), gallery, (1,), "x")
    found = nearest_images(data, embed, 12)
    searched = data.query if gallery is None else gallery
    assert len(found) == 12 * TOP and found["query"].nunique() == 12
    queries, others = embed(data.query).double(), embed(searched).double()
    drawn = sample(40, 12).tolist()
    for (query, rows), asked in zip(found.groupby("query", sort=False), drawn, strict=True):
        assert query == asked
        s = {j: float(queries[query] @ others[j]) for j in range(len(searched))}
        if gallery is None:
            del s[query]
        best = sorted(s, key=s.get, reverse=True)[:TOP]
        assert rows["neighbour"].tolist() == best and rows["rank"].tolist() == [1, 2, 3, 4]
        assert rows["similarity"].tolist() == pytest.approx([s[j] for j in best], abs=1e-6)
        label = data.query.labels[query]
        assert rows["correct"].tolist() == [bool(searched.labels[j] == label) for j in best]


def test_the_draw():
    """Oracle: set arithmetic; a larger draw begins with a smaller, too large a one takes all."""
    assert sample(50, 9).tolist() == sample(50, 30).tolist()[:9]
    assert sorted(sample(50, 99).tolist()) == list(range(50))
    data = Retrieval("x", images(9, 2), images(40, 0), None, (1,), "x")
    assert nearest_images(data, embed, 0).empty


def test_a_run_keeps_what_its_model_finds(tmp_path, monkeypatch):
    """Oracle: a second Trainer's embeddings; the other numbers are those of a run without."""
    whole = datasets.load("hanzi")
    few = [s.of_classes(s.classes[:30]) for s in (whole.train, whole.query)]
    data = Retrieval("small", *few, None, (1,), "small")
    monkeypatch.setattr(datasets, "load", lambda name, split, view: data)
    plain = Experiment(batch=8, k=2, steps=6, start=2, ratio=0.1, dim=16)
    kept = run_experiment(plain.replace(neighbours=10), RunStore(tmp_path))
    bare = run_experiment(plain, RunStore(tmp_path))
    assert kept.id != bare.id and kept.recall == bare.recall and bare.neighbours.empty
    trainer = Trainer(plain, data, tmp_path / "checkpoint.pt")
    trainer.train()
    again = nearest_images(data, trainer.embed, 10)
    pd.testing.assert_frame_equal(kept.neighbours, again, check_exact=True)


def found(firsts, seeds=1):
    """A study's frame in which the nearest images are correct as given, of hanzi's first images."""
    rows = [
        {"data": "hanzi", "split": "test", "view": "rendered", "seed": seed, "memory": memory,
         "query": 7 * q, "kind": study.KINDS[pair], "rank": rank, "neighbour": 7 * q + rank,
         "similarity": 1 / rank, "correct": correct if rank == 1 else False,
         "pixels": 0.3 * (memory == "with") + 0.01 * q, "run": memory}
        for seed in range(seeds)
        for q, pair in enumerate(firsts)
        for memory, correct in zip(study.RATIOS, pair, strict=True)
        for rank in range(1, TOP + 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


MIXED = [(False, True)] * 9 + [(True, False)] + [(False, False)] * 3 + [(True, True)] * 2


def test_counts_and_choice():
    """Oracle: by hand; the choice takes the first of each kind, of the first seed."""
    data = found(MIXED, seeds=2)
    assert study.counts(data).to_numpy().tolist() == [[9, 1, 3, 2]] * 2
    chosen = study.chosen(data, 2, ("incorrect with both", "correct with memory only"))
    assert chosen["query"].unique().tolist() == [70, 77, 0, 7]
    assert chosen["seed"].unique().tolist() == [0] and len(chosen) == 4 * 2 * TOP


@pytest.mark.parametrize(
    ("firsts", "outcomes"),
    [
        # McNemar: (9 - 1) / √10 = 2.5 and (5 - 1) / √6 = 1.6 standard errors.
        (MIXED, ["agrees", "agrees"]),
        (MIXED[4:], ["disagrees", "agrees"]),
        ([(b, a) for a, b in MIXED], ["disagrees", "agrees"]),
        ([(True, True)] * 5, ["not testable here"] * 2),
    ],
)
def test_verdicts(firsts, outcomes):
    """Oracle: by hand."""
    data, parameters = found(firsts), study.Parameters(profile="smoke")
    assert [v.outcome for v in study.verdicts(data, parameters)] == outcomes
    data.loc[data["memory"] == "with", "pixels"] -= 0.6
    assert study.verdicts(data, parameters)[1].outcome != "agrees"


def test_frame(tmp_path, monkeypatch):
    """Oracle: numpy's correlation of the file's pixels; kinds by a loop; equal draws."""
    monkeypatch.setattr(study, "SAMPLED", 20)
    size = study.Parameters(profile="smoke")
    data = study.frame(size, RunStore(tmp_path))
    assert set(data["data"]) == {"hanzi", "emoji", "hangul"}
    for name, part in data.groupby("data"):
        loaded = datasets.load(name, "validation")
        queries = loaded.query
        images = queries if loaded.gallery is None else loaded.gallery
        asked = {m: rows["query"].tolist() for m, rows in part.groupby("memory")}
        assert asked["with"] == asked["without"] and len(set(asked["with"])) == 20
        first = {(r.query, r.memory): r.correct for r in part[part["rank"] == 1].itertuples()}
        for row in part.itertuples():
            pair = torch.stack([queries.images[row.query], images.images[row.neighbour]]).flatten(1)
            assert row.pixels == pytest.approx(float(torch.corrcoef(pair.double())[0, 1]), abs=1e-5)
            assert row.correct == bool(queries.labels[row.query] == images.labels[row.neighbour])
            assert row.kind == study.KINDS[first[row.query, "without"], first[row.query, "with"]]


def test_figure():
    """Oracle: pictures, frames and ticks counted from the rows."""
    data = study.chosen(found(MIXED), 2, ("correct with memory only", "incorrect with both"))
    ax = plot(data, study.pictures(data))
    assert len(ax.images) == 4 * (1 + 2 * TOP)
    assert len(ax.patches) == len(data)
    texts = [t.get_text() for t in ax.texts]
    assert texts.count("✓") == 2 and texts.count("✗") == len(data) - 2
    styles = {p.get_linestyle() for p in ax.patches}
    assert len(styles) == 2 and len({p.get_edgecolor() for p in ax.patches}) == 2


def test_pictures_are_dark_on_light():
    """Oracle: the inverse of the file's ink."""
    data = found([(True, True)])
    shown = study.pictures(data)
    assert torch.equal(shown["hanzi", "neighbour", 3], 255 - datasets.load("hanzi").query.images[3])
    assert len(shown) == 1 + TOP
