"""Tests of the study of nearest images, on frames made by hand and on small runs."""

import pandas as pd
import pytest
import torch

from xbmlib import datasets
from xbmlib.paper.arms import NO_MEMORY, arm
from xbmlib.plots.retrievals import retrieved as plot
from xbmlib.study.figures import ablation_memory_ratio
from xbmlib.study.figures import retrievals as study
from xbmlib.training.callbacks.neighbours import TOP
from xbmlib.training.store import RunStore

WITH_MEMORY = arm(study.RATIO)


def found(firsts, seeds=1):
    """A study's frame in which the nearest images are correct as given, of hanzi's first images."""
    rows = [
        {"data": "hanzi", "split": "test", "view": "rendered", "seed": seed, "arm": name,
         "query": 7 * q, "kind": study.KINDS[pair], "rank": rank, "neighbour": 7 * q + rank,
         "similarity": 1 / rank, "correct": correct if rank == 1 else False,
         "pixels": 0.3 * (name == WITH_MEMORY) + 0.01 * q, "run": name}
        for seed in range(seeds)
        for q, pair in enumerate(firsts)
        for name, correct in zip(study.RATIOS, pair, strict=True)
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
    data, parameters = found(firsts, seeds=3), study.Parameters(profile="smoke")
    assert [v.outcome for v in study.verdicts(data, parameters)] == outcomes
    data.loc[data["arm"] == WITH_MEMORY, "pixels"] -= 0.6
    assert study.verdicts(data, parameters)[1].outcome != "agrees"


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        # t = mean / (standard deviation / √3); at two degrees of freedom 2.92 is 5%.
        ((0.1, 0.2, 0.3), "agrees"),  # 0.2 / (0.1 / √3) = 3.46
        ((0.05, 0.2, 0.35), "undecided"),  # 0.2 / (0.15 / √3) = 2.31
        ((-0.1, -0.2, -0.3), "disagrees"),
        ((0.3,), "undecided"),
        ((0.1, 0.2, None), "undecided"),  # 0.15 / (0.0707 / √2) = 3.0; at one degree 6.31 is 5%
    ],
)
def test_closer_errors_are_judged_over_seeds(gains, outcome):
    """Oracle: Student's t by hand, of one mean per seed; a seed with no such query has none."""
    data = found(MIXED, seeds=len(gains))
    for seed, gain in enumerate(gains):
        rows = (data["seed"] == seed) & (data["arm"] == WITH_MEMORY)
        data.loc[rows, "pixels"] += (gain or 0.0) - 0.3
        if gain is None:
            data.loc[data["seed"] == seed, "kind"] = "correct with both"
    _, closer = study.verdicts(data, study.Parameters(profile="smoke"))
    assert closer.outcome == outcome
    known = [gain for gain in gains if gain is not None]
    assert f"hanzi {sum(known) / len(known):.3f}" in closer.ours
    assert closer.ours.endswith(f"(n={len(known)})")


def test_frame(smoke, capsys):
    """Oracle: torch's correlation of the file's pixels; kinds by a loop; the arms share queries.

    Of the runs of the study at profile smoke, twenty queries of each data set are compared.
    """
    size = study.Parameters(profile="smoke")
    data = study.frame(size, RunStore(smoke[0] / "results" / "runs"))
    assert ", 0 to train" in capsys.readouterr().out
    assert set(data["data"]) == {"hanzi", "emoji", "hangul"}
    for name, part in data.groupby("data"):
        loaded = datasets.load(name, "smoke")
        queries = loaded.query
        images = queries if loaded.gallery is None else loaded.gallery
        shared = {a: rows["query"].tolist() for a, rows in part.groupby("arm")}
        number = min(ablation_memory_ratio.SAMPLED, len(queries))
        assert shared[WITH_MEMORY] == shared[NO_MEMORY] and len(set(shared[NO_MEMORY])) == number
        part = part[part["query"].isin(shared[NO_MEMORY][: 20 * TOP])]
        assert part["query"].nunique() == 20
        first = {(r.query, r.arm): r.correct for r in part[part["rank"] == 1].itertuples()}
        for row in part.itertuples():
            pair = torch.stack([queries.images[row.query], images.images[row.neighbour]]).flatten(1)
            assert row.pixels == pytest.approx(float(torch.corrcoef(pair.double())[0, 1]), abs=1e-5)
            assert row.correct == bool(queries.labels[row.query] == images.labels[row.neighbour])
            pair = first[row.query, NO_MEMORY], first[row.query, WITH_MEMORY]
            assert row.kind == study.KINDS[pair]


def test_figure():
    """Oracle: images, frames and ticks counted from the rows."""
    data = study.chosen(found(MIXED), 2, ("correct with memory only", "incorrect with both"))
    ax = plot(data, study.images(data))
    assert len(ax.images) == 4 * (1 + 2 * TOP)
    assert len(ax.patches) == len(data)
    texts = [t.get_text() for t in ax.texts]
    assert texts[:3] == ["query\n(hanzi)", "no memory", "memory ($R_M$ = 100%)"]
    assert texts.count("✓") == 2 and texts.count("✗") == len(data) - 2
    two = [{"correct with memory only": 60.0, "incorrect with both": 20.0},
           {"correct with memory only": 50.0, "incorrect with both": 0.0}]  # fmt: skip
    headings = [t.get_text() for t in plot(data, study.images(data), pd.DataFrame(two)).texts]
    assert "correct with memory only: 55.0 ± 7.1% of the queries (n=2)" in headings
    assert "incorrect with both: 10.0 ± 14.1% of the queries (n=2)" in headings
    assert study.shares(found(MIXED)).loc["hanzi", "correct with memory only"].tolist() == [60.0]
    styles = {p.get_linestyle() for p in ax.patches}
    assert len(styles) == 2 and len({p.get_edgecolor() for p in ax.patches}) == 2


def test_images_are_dark_on_light():
    """Oracle: the inverse of the file's ink."""
    data = found([(True, True)])
    shown = study.images(data)
    assert torch.equal(shown["hanzi", "neighbour", 3], 255 - datasets.load("hanzi").query.images[3])
    assert len(shown) == 1 + TOP
