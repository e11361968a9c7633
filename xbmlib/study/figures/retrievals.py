"""Figure 7: the images found for the same queries without and with memory."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from xbmlib import datasets
from xbmlib.datasets import Images
from xbmlib.study.notebook import StudyParameters, Verdict, judge, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import experiment
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

BATCH = 16
RATIOS = {"without": 0.0, "with": 1.0}
SAMPLED = 2000
# A query by whether its nearest image is correct (without memory, with memory).
KINDS = {
    (False, True): "correct with memory only",
    (True, False): "correct without memory only",
    (False, False): "incorrect with both",
    (True, True): "correct with both",
}
# How many standard errors a difference has to be from 0.
CLEAR = 2

SIDES = ("query", "neighbour")
Pictures = dict[tuple[str, str, int], Tensor]


class Parameters(StudyParameters):
    """The study of the images found takes no parameters of its own."""

    notebook: ClassVar[str] = "retrievals"


def _cases(parameters: Parameters) -> list[tuple[str, int, str]]:
    return [
        (d, s, m) for d in parameters.size.pictured for s in parameters.seed_range for m in RATIOS
    ]


def experiments(parameters: Parameters) -> list[Experiment]:
    """The tuned arms without memory and with all of it, each with what it finds."""
    return [
        experiment(
            parameters.size, BATCH, seed=seed, ratio=RATIOS[memory], data=data, neighbours=SAMPLED
        )
        for data, seed, memory in _cases(parameters)
    ]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load: the tuned arms without memory and with all of it, each with what it finds.

    Both are evaluated on the same ``SAMPLED`` queries
    (:func:`xbmlib.training.callbacks.neighbours.sample`).

    Returns:
        A row an image found, queries as drawn and nearest first: data, split, view, seed, memory
        ("without" or "with"), kind (one of KINDS), query, rank, neighbour, similarity, correct (as
        :func:`xbmlib.training.callbacks.neighbours.nearest_images`), pixels (correlation of the
        two images' pixels), run.
    """
    runs = run_all(experiments(parameters), store)
    rows = [
        run.neighbours.assign(
            data=data,
            split=run.experiment.split,
            view=run.experiment.view,
            seed=seed,
            memory=memory,
            run=run.id,
        )
        for (data, seed, memory), run in zip(_cases(parameters), runs, strict=True)
    ]
    found = pd.concat(rows, ignore_index=True)
    found["pixels"] = pd.concat([_correlation(part) for _, part in found.groupby("data")])
    asked = ["data", "seed", "query"]
    first = found[found["rank"] == 1].set_index([*asked, "memory"])["correct"].unstack()
    kinds = pd.Series(
        [KINDS[pair] for pair in zip(first["without"], first["with"], strict=True)],
        first.index,
        name="kind",
    )
    return found.join(kinds, on=asked)[
        [
            *("data", "split", "view", "seed", "memory", "kind", "query", "rank", "neighbour"),
            *("similarity", "correct", "pixels", "run"),
        ]
    ]


def _correlation(found: pd.DataFrame) -> pd.Series:
    """Correlation, in [-1, 1], of each query's pixels and its neighbour's; of one data set."""
    centred = []
    for side, images in zip(SIDES, _images(found), strict=True):
        pixels = images.fetch(torch.tensor(found[side].to_numpy())).float().flatten(1)
        centred.append(pixels - pixels.mean(1, keepdim=True))
    a, b = centred
    return pd.Series(cosine_similarity(a, b).numpy(), found.index)


def _images(found: pd.DataFrame) -> tuple[Images, Images]:
    """The queries and what is searched; of one data set."""
    data = datasets.load(*found[["data", "split", "view"]].iloc[0])
    return data.query, data.query if data.gallery is None else data.gallery


def counts(found: pd.DataFrame) -> pd.DataFrame:
    """Number of queries of each kind: a row for each data set and seed, a column a kind."""
    first = found[(found["rank"] == 1) & (found["memory"] == "with")]
    table = first.groupby(["data", "seed"])["kind"].value_counts().unstack(fill_value=0)
    return table.reindex(columns=list(KINDS.values()), fill_value=0)


def chosen(found: pd.DataFrame, each: int, kinds: tuple[str, ...]) -> pd.DataFrame:
    """The first queries of each kind, in the order of the draw: none is picked by hand.

    Args:
        found: as from :func:`frame`.
        each: queries of a kind and data set, fewer where there are not as many.
        kinds: which, in this order.

    Returns:
        The rows of these queries, of the first seed.
    """
    one = found[found["seed"] == found["seed"].min()]
    parts = []
    for _, part in one.groupby("data", sort=False):
        for kind in kinds:
            rows = part[part["kind"] == kind]
            parts.append(rows[rows["query"].isin(rows["query"].unique()[:each])])
    return pd.concat(parts, ignore_index=True)


def pictures(found: pd.DataFrame) -> Pictures:
    """Every picture of the rows: (data, "query" or "neighbour", id) to (C, H, W) uint8."""
    out: Pictures = {}
    for data, part in found.groupby("data"):
        for side, images in zip(SIDES, _images(part), strict=True):
            ids = part[side].unique()
            shown = images.show(torch.tensor(ids))
            out |= {(data, side, int(id)): image for id, image in zip(ids, shown, strict=True)}
    return out


def verdicts(found: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """Section 4.4 on Fig. 7: better retrieval with memory, and closer misses."""
    number = counts(found)
    asked, names = number.sum(axis=1), list(found["data"].unique())
    gained, lost = number[KINDS[False, True]], number[KINDS[True, False]]
    # McNemar's test: of the queries that changed, how far from half became correct.
    changed = (gained - lost) / (gained + lost) ** 0.5
    missed = found[(found["rank"] == 1) & (found["kind"] == KINDS[False, False])]
    paired = missed.set_index(["data", "seed", "query", "memory"])["pixels"].unstack()
    paired = paired.reindex(columns=list(RATIOS))
    closer = (paired["with"] - paired["without"]).groupby(["data", "seed"])
    gain, error = (part.reindex(number.index) for part in (closer.mean(), closer.sem()))
    common: Any = {
        "data": f"{parameters.size.told()}, batch {BATCH}, R_M = {RATIOS['with']:g}, contrastive, "
        f"{asked.min():,} queries, profile {parameters.profile}",
        "seeds": found["seed"].nunique(),
    }
    more, fewer = (
        {d: mean_spread(100 * part[d] / asked[d], "%") for d in names} for part in (gained, lost)
    )
    return [
        Verdict(
            claim="The memory promotes a more discriminative encoder: images retrieved with it "
            "are correct where those without are incorrect.",
            paper="examples shown (Fig. 7, Section 4.4)",
            ours="of the queries, the nearest image is correct with memory only, without only: "
            + "; ".join(f"{d} {more[d]}, {fewer[d]}" for d in names),
            rule=f"more queries become correct than incorrect, by at least {CLEAR} standard errors "
            "(McNemar), on every data set in every seed",
            outcome=judge(changed >= CLEAR, changed),
            **common,
        ),
        Verdict(
            claim="Where the results are wrong, those with memory are visually closer to the "
            "query than the baseline's.",
            paper="bad cases shown (Fig. 7, Section 4.4)",
            ours="where both are wrong, the correlation of the nearest image's pixels with the "
            "query's rises by " + "; ".join(f"{d} {mean_spread(gain[d], digits=3)}" for d in names),
            rule=f"the correlation of pixels, which stands for the eye here, rises by at least "
            f"{CLEAR} standard errors, on every data set in every seed",
            outcome=judge(gain >= CLEAR * error, error),
            **common,
        ),
    ]
