"""Figure 7: the images retrieved for the same queries with no memory and with memory."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from xbmlib import datasets
from xbmlib.datasets import Images
from xbmlib.paper.arms import NO_MEMORY, arm
from xbmlib.study.comparison import Quantity
from xbmlib.study.figures import skin_tones
from xbmlib.study.figures.ablation_memory_ratio import BATCH, RETRIEVING, point
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.verdict import BY_TEST, Verdict, clear, judge, mean_spread
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

_, RATIO = RETRIEVING
# Each arm and its R_M.
RATIOS = {arm(ratio): ratio for ratio in RETRIEVING}
# The kind of a query by whether its nearest image is correct with no memory, and with memory.
KINDS = {
    (False, True): "correct with memory only",
    (True, False): "correct with no memory only",
    (False, False): "incorrect with both",
    (True, True): "correct with both",
}
# More queries become correct than incorrect from this many standard errors of the count on.
MCNEMAR = 2

SIDES = ("query", "neighbour")
ImagesById = dict[tuple[str, str, int], Tensor]


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "retrievals"


def _cases(parameters: Parameters) -> list[tuple[str, int, str]]:
    """Data set, seed and arm of each run."""
    return [
        (d, s, a) for d in parameters.size.main_data for s in parameters.seed_range for a in RATIOS
    ]


def experiments(parameters: Parameters) -> list[Experiment]:
    """The runs of Fig. 1 right that store the images that they retrieve."""
    return [
        point(parameters.size, data, RATIOS[arm], seed) for data, seed, arm in _cases(parameters)
    ]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load both arms, with no memory and with R_M = 1, on the same queries.

    A seeded sample of the test set (:func:`xbmlib.training.callbacks.neighbours.sample`).

    Returns:
        One row per retrieved image, queries in sampled order, nearest first: data, split, view,
        seed, arm (one of RATIOS), kind (one of KINDS), query, rank, neighbour, similarity, correct
        (as :func:`xbmlib.training.callbacks.neighbours.nearest_images`), pixels (correlation of the
        pixels of query and neighbour, in [-1, 1]), run.
    """
    runs = run_all(experiments(parameters), store, parameters.quicker(experiments))
    rows = [
        run.neighbours.assign(
            data=data,
            split=run.experiment.split,
            view=run.experiment.view,
            seed=seed,
            arm=arm,
            run=run.id,
        )
        for (data, seed, arm), run in zip(_cases(parameters), runs, strict=True)
    ]
    found = pd.concat(rows, ignore_index=True)
    found["pixels"] = pd.concat([_correlation(part) for _, part in found.groupby("data")])
    keys = ["data", "seed", "query"]
    first = found[found["rank"] == 1].set_index([*keys, "arm"])["correct"].unstack()
    kinds = pd.Series(
        [KINDS[pair] for pair in zip(first[NO_MEMORY], first[arm(RATIO)], strict=True)],
        first.index,
        name="kind",
    )
    return found.join(kinds, on=keys)[
        [
            *("data", "split", "view", "seed", "arm", "kind", "query", "rank", "neighbour"),
            *("similarity", "correct", "pixels", "run"),
        ]
    ]


def _correlation(found: pd.DataFrame) -> pd.Series:
    """Correlation, in [-1, 1], of the pixels of each query and neighbour of one data set."""
    centred = []
    for side, searched in zip(SIDES, _searched(found), strict=True):
        pixels = searched.fetch(torch.tensor(found[side].to_numpy())).float().flatten(1)
        centred.append(pixels - pixels.mean(1, keepdim=True))
    a, b = centred
    return pd.Series(cosine_similarity(a, b).numpy(), found.index)


def _searched(found: pd.DataFrame) -> tuple[Images, Images]:
    """The queries of one data set, and the images that are searched."""
    data = datasets.load(*found[["data", "split", "view"]].iloc[0])
    return data.query, data.query if data.gallery is None else data.gallery


def counts(found: pd.DataFrame) -> pd.DataFrame:
    """Number of queries of each kind: one row per data set and seed, one column per kind."""
    first = found[(found["rank"] == 1) & (found["arm"] == arm(RATIO))]
    table = first.groupby(["data", "seed"])["kind"].value_counts().unstack(fill_value=0)
    return table.reindex(columns=list(KINDS.values()), fill_value=0)


def shares(found: pd.DataFrame) -> pd.DataFrame:
    """:func:`counts` in percent of the queries of each seed."""
    number = counts(found)
    return 100 * number.div(number.sum(axis=1), axis=0)


def chosen(found: pd.DataFrame, each: int, kinds: tuple[str, ...]) -> pd.DataFrame:
    """The first queries of each kind in sampled order: none is selected by hand.

    Args:
        found: as returned by :func:`frame`.
        each: queries per kind and data set; all of them if there are fewer.
        kinds: the kinds, in the order in which they are returned.

    Returns:
        The rows of these queries, for the first seed.
    """
    one = found[found["seed"] == found["seed"].min()]
    parts = []
    for _, part in one.groupby("data", sort=False):
        for kind in kinds:
            rows = part[part["kind"] == kind]
            parts.append(rows[rows["query"].isin(rows["query"].unique()[:each])])
    return pd.concat(parts, ignore_index=True)


def images(found: pd.DataFrame) -> ImagesById:
    """Every image of the rows: (data, "query" or "neighbour", id) to (C, H, W) uint8."""
    out: ImagesById = {}
    for data, part in found.groupby("data"):
        for side, searched in zip(SIDES, _searched(part), strict=True):
            ids = part[side].unique()
            shown = searched.show(torch.tensor(ids))
            out |= {(data, side, int(id)): image for id, image in zip(ids, shown, strict=True)}
    return out


def verdicts(found: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """Section 4.4 on Fig. 7: better retrieval with memory, and visually closer errors."""
    number = counts(found)
    queries, names = number.sum(axis=1), list(found["data"].unique())
    gained, lost = number[KINDS[False, True]], number[KINDS[True, False]]
    # McNemar's test: how far from half of the queries that changed became correct.
    changed = (gained - lost) / (gained + lost) ** 0.5
    missed = found[(found["rank"] == 1) & (found["kind"] == KINDS[False, False])]
    paired = missed.set_index(["data", "seed", "query", "arm"])["pixels"].unstack()
    paired = paired.reindex(columns=list(RATIOS))
    closer = (paired[arm(RATIO)] - paired[NO_MEMORY]).groupby(["data", "seed"]).mean()
    # By data set, one value per seed: none of a seed in which no query is incorrect with both.
    closer = closer.reindex(number.index)
    gains = {name: closer[name].dropna() for name in names}
    common: Any = {
        "data": f"{parameters.size.name_data(*names)}, batch {BATCH}, R_M = {RATIO:g}, "
        f"contrastive, {queries.min():,} queries, profile {parameters.profile}",
        "seeds": found["seed"].nunique(),
    }
    more, fewer = (
        {d: mean_spread(100 * part[d] / queries[d], "%") for d in names} for part in (gained, lost)
    )
    return [
        Verdict(
            claim="The memory promotes a more discriminative encoder: images retrieved with memory "
            "are correct where those with no memory are incorrect.",
            paper="examples shown (Fig. 7, Section 4.4)",
            ours="share of queries whose nearest image is correct with memory only, with no memory "
            "only: " + "; ".join(f"{d} {more[d]}, {fewer[d]}" for d in names),
            rule=f"more queries become correct than incorrect, by at least {MCNEMAR} standard "
            "errors (McNemar), on every data set in every seed",
            outcome=judge(changed >= MCNEMAR, changed),
            **common,
        ),
        Verdict(
            claim="Where both results are incorrect, that with memory is visually closer to the "
            "query than that with no memory.",
            paper="bad cases shown (Fig. 7, Section 4.4)",
            ours="where both are incorrect, the correlation of the nearest image's pixels with the "
            "query's is higher with memory by "
            + "; ".join(f"{d} {mean_spread(gain, digits=3)}" for d, gain in gains.items()),
            rule="the correlation of pixels, which stands in for the eye here, with memory minus "
            f"that with {NO_MEMORY}, on every data set: {BY_TEST}",
            outcome=clear(*gains.values()),
            **common,
        ),
    ]


def comparison(found: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """The share of queries of each kind; the paper shows examples and counts none."""
    percent = shares(found)
    return [
        Quantity(
            parameters.size.printed(name), f"{kind}, % of the queries", percent.loc[name, kind]
        )
        for name in parameters.size.main_data
        for kind in KINDS.values()
    ]


def closing(found: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    means = shares(found).groupby("data").mean()
    gained, lost, neither, _ = KINDS.values()
    parts = [
        f"on {parameters.size.printed(name)} the nearest image becomes correct for "
        f"{means.loc[name, gained]:.1f}% of the queries and incorrect for "
        f"{means.loc[name, lost]:.1f}%, and stays incorrect for {means.loc[name, neither]:.1f}%"
        for name in parameters.size.main_data
    ]
    missed = found[(found["rank"] == 1) & (found["kind"] == neither)]
    pixels = missed.groupby("arm")["pixels"].mean()
    closer = pixels[arm(RATIO)] - pixels[NO_MEMORY] if len(pixels) == len(RATIOS) else 0.0
    return (
        f"With {arm(RATIO)}, {'; '.join(parts)}. The first share minus the second is the gain in "
        "R@1 on these queries. Where both arms err, the correlation of the pixels of query and "
        f"nearest image with memory minus that with {NO_MEMORY} is {closer:+.3f}: it stands in "
        "here for visual closeness, which the paper judges by eye."
        f"{skin_tones.sentence(found, NO_MEMORY, arm(RATIO))}"
    )
