"""Figure 1 (right): R@1 against the memory ratio R_M, contrastive loss, batch 16."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pandas as pd
from pydantic import Field

from xbmlib import datasets, paper
from xbmlib.paper import claims
from xbmlib.paper.arms import NO_MEMORY, arm, percent
from xbmlib.study.comparison import Quantity, at, standing
from xbmlib.study.history import history
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import Profile
from xbmlib.study.protocol import experiment
from xbmlib.study.verdict import Verdict, judged
from xbmlib.study.words import change, listed
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.store import Run, RunStore

BATCH = 16
# Batch size of Table 2, whose R_M stand in the figure too.
SOP_BATCH = 64
# Fig. 7 shows the images that runs of these R_M retrieve, for as many queries.
RETRIEVING, SAMPLED = (0.0, 1.0), 2000
# The R_M of the paper's example, and the one that the claim of saturation calls moderate.
ONE_PERCENT, MODERATE = 0.01, 0.3
# The R_M that is stated by itself is the whole training set: none is chosen by the test classes.
WHOLE = 1.0


class Parameters(StudyParameters):
    """Attributes: ratio: one R_M in [0, 1] to run with the baseline; None for the profile's."""

    notebook: ClassVar[str] = "ablation_memory_ratio"

    ratio: Annotated[float, Field(ge=0, le=1)] | None = None


def point(profile: Profile, data: str, ratio: float, seed: int) -> Experiment:
    """The run of one point; those of Fig. 7 store the images that they retrieve."""
    found = experiment(profile, BATCH, seed=seed, ratio=ratio, data=data)
    return found.replace(neighbours=SAMPLED) if ratio in RETRIEVING else found


def experiments(parameters: Parameters) -> list[Experiment]:
    """The baseline and each R_M at batch 16, on every data set."""
    profile = parameters.size
    ratios = profile.ratios if parameters.ratio is None else (parameters.ratio,)
    return [
        point(profile, data, ratio, seed)
        for data in profile.main_data
        for ratio in dict.fromkeys((0.0, *ratios))
        for seed in parameters.seed_range
    ]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load the points; add any further points of the same settings from the store.

    Returns:
        One row per run: data, batch, ratio, M, seed, R@K and MAP@R in percent, run.
    """
    runs = run_all(experiments(parameters), store, parameters.quicker(experiments))
    runs += _stored(parameters, store or RunStore(), {run.id for run in runs})
    place = parameters.size.data.index
    rows = [_row(run) for run in {run.id: run for run in runs}.values()]
    rows.sort(key=lambda row: (place(str(row["data"])), row["ratio"], row["seed"]))
    return pd.DataFrame(rows)


def _stored(parameters: Parameters, store: RunStore, have: set[str]) -> list[Run]:
    """Stored runs of the same settings and seeds at other ratios."""
    found = []
    for id in store.ids():
        if id not in have:
            try:
                e = store.experiment(id)
            except ConfigError:  # of a version with other defaults, so of other settings
                continue
            known = e.batch == BATCH and e.data in parameters.size.main_data
            if (
                known
                and e.seed in parameters.seed_range
                and e == point(parameters.size, e.data, e.ratio, e.seed)
            ):
                found.append(store.load(id))
    return found


def _row(run: Run) -> dict[str, float | str]:
    e = run.experiment
    size = e.memory_size(len(datasets.load(e.data, e.split, e.view).train))
    recall = {k: 100 * v for k, v in run.recall.items()}
    return {
        "data": e.data,
        "batch": e.batch,
        "ratio": e.ratio,
        "M": size,
        "seed": e.seed,
        **recall,
        "run": run.id,
    }


def training(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Recall while training with no memory and with the largest R_M that is asked for."""
    found = experiments(parameters)
    shown = {0.0, max(e.ratio for e in found)}
    return history(run_all([e for e in found if e.ratio in shown], store))


def counted(data: pd.DataFrame, parameters: Parameters) -> pd.DataFrame:
    """The rows of the profile's R_M, or of the one asked for, that have all of its seeds.

    Further points of the store are shown and judge nothing: one seed more or less changes which
    R_M is the best.
    """
    asked = () if parameters.ratio is None else (parameters.ratio,)
    ratios, seeds = (0.0, *parameters.size.ratios, *asked), parameters.seed_range
    rows = data[data["ratio"].isin(ratios) & data["seed"].isin(seeds)]
    found = rows.groupby(["data", "batch", "ratio"])["seed"].transform("nunique")
    return rows[found == len(seeds)]


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of Section 4.3, "Memory Ratio", and the points that count in ``data``."""
    profile = parameters.size
    small = counted(data, parameters).set_index("seed")
    # By the paper's data set and R_M: R@1 and MAP@R, a row per seed. Arms are paired by seed: both
    # have the same batches and initial head.
    points: dict[str, dict[float, pd.DataFrame]] = {
        name: {
            float(ratio): part.reindex(columns=["R@1", "MAP@R"])
            for ratio, part in small[small["data"] == ours].groupby("ratio")
        }
        for name, ours in zip(paper.SETS, profile.data, strict=True)
    }
    points = {name: found for name, found in points.items() if len(found) > 1}
    gains = {
        name: pd.DataFrame(
            {r: f["R@1"] - found[0.0]["R@1"] for r, f in found.items() if r > 0}
        ).dropna()
        for name, found in points.items()
    }
    shown = profile.stands_for

    def on(*names: str) -> Any:
        """What a verdict on some data sets has in common with the others."""
        where = f"{profile.name_data(*names)}, batch {BATCH}, contrastive"
        return {"names": shown, "data": f"{where}, profile {parameters.profile}"}

    common = on(*dict.fromkeys(data["data"]))

    def recall(name: str, ratio: float) -> pd.Series:
        return points[name][ratio]["R@1"]

    in_shop = "In-shop"
    one_percent = (
        {in_shop: gains[in_shop][ONE_PERCENT].dropna()}
        if ONE_PERCENT in gains.get(in_shop, ())
        else {}
    )
    steps = {
        f"{name}, R_M = {low:g} to {high:g}": (recall(name, high) - recall(name, low)).dropna()
        for name, found in points.items()
        for low, high in ((0.0, MODERATE), (MODERATE, 1.0))
        if {low, high} <= set(found)
    }
    return [
        judged(
            claims.GAINS_AT_BATCH_16,
            {name: gain.mean(axis=1) for name, gain in gains.items()},
            detail="; ".join(_range(profile.stands_for[n], points[n]) for n in points),
            arms={name: (found[0.0], _mean(found)) for name, found in points.items()},
            **common,
        ),
        judged(
            claims.SMALL_RATIO_HELPS,
            one_percent,
            arms={name: (points[name][0.0], points[name][ONE_PERCENT]) for name in one_percent},
            **on(*(n for n in data["data"].unique() if profile.printed(n) == shown[in_shop])),
        ),
        judged(claims.SATURATION, steps, **common),
        judged(
            claims.RATIO_MATTERS_LITTLE,
            {name: gain.min(axis=1) for name, gain in gains.items()},
            **common,
        ),
    ]


def _range(name: str, found: dict[float, pd.DataFrame]) -> str:
    """R@1 with no memory, and the range of its means over R_M."""
    means = [float(part["R@1"].mean()) for ratio, part in found.items() if ratio > 0]
    return (
        f"{name}: R@1 {found[0.0]['R@1'].mean():.1f} with {NO_MEMORY}, {min(means):.1f} to "
        f"{max(means):.1f} with memory"
    )


def _mean(found: dict[float, pd.DataFrame]) -> pd.DataFrame:
    """The mean over all R_M > 0, one row per seed."""
    return pd.concat([part for ratio, part in found.items() if ratio > 0]).groupby("seed").mean()


def comparison(data: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """The gain at each R_M beside what the paper prints, at batch 16 and, of Table 2, at 64.

    The paper's "over 20" is of several R_M and stands beside the mean of ours over R_M.
    """
    keys = ["data", "batch", "ratio", "seed"]
    r1 = data.set_index(keys)["R@1"].sort_index()
    counting = counted(data, parameters).set_index(keys)["R@1"].sort_index()
    rows = []
    for name, ours in zip(paper.SETS, parameters.size.data, strict=True):
        printed = {
            BATCH: {ratio: s.value for (of, ratio), s in paper.RATIO_R1.items() if of == name},
            SOP_BATCH: {r: s.value for r, s in paper.RATIO_R1_BATCH_64.items() if name == "SOP"},
        }
        for batch, stated in printed.items():
            found = at(r1, ours, batch)
            of = f"{standing(parameters.size, name)}, batch {batch}"
            ratios = {*stated, *found.index.get_level_values("ratio")}
            none = at(found, 0.0)
            if ratios:
                rows.append(Quantity(of, f"R@1 with {NO_MEMORY}, %", none, stated.get(0.0)))
            for ratio in sorted(ratios - {0.0}):
                gain = stated[ratio] - stated[0.0] if ratio in stated else None
                rows.append(
                    Quantity(
                        of,
                        f"gain with {arm(ratio)}, points",
                        (at(found, ratio) - none).dropna(),
                        gain,
                    )
                )
            if batch == BATCH:
                rows += _overall(of, name, at(counting, ours, batch).unstack("ratio"))
    return rows


def _overall(of: str, name: str, r1: pd.DataFrame) -> list[Quantity]:
    """The mean gain over R_M and, beside the paper's of SOP, R@1 at the largest.

    Args:
        of: what the quantities are of.
        name: the paper's data set.
        r1: R@1 in percent, a row per seed, a column per R_M.
    """
    gains = r1.drop(columns=0.0, errors="ignore").sub(r1.get(0.0), axis=0).mean(axis=1).dropna()
    stated = paper.GAIN_BATCH_16.value
    rows = [Quantity(of, "mean gain over R_M, points", gains, stated, "over")]
    if name == "SOP" and WHOLE in r1:
        what = f"R@1 with {arm(WHOLE)} (paper: R_M not stated), %"
        rows.append(Quantity(of, what, r1[WHOLE], paper.SOP_R1_BATCH_16_MEMORY.value))
    return rows


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    sentences = []
    for name, part in counted(data, parameters).groupby("data", sort=False):
        r1 = part.set_index(["ratio", "seed"])["R@1"].sort_index()
        ratios = [ratio for ratio in r1.index.unique("ratio") if ratio > 0]
        none = at(r1, 0.0)
        if not ratios or none.empty:
            continue
        gains = {ratio: (r1[ratio] - none).dropna() for ratio in ratios}
        mean = pd.DataFrame(gains).mean(axis=1)
        room = 100 - none.mean()
        whole = f"; with {arm(WHOLE)} it {change(gains[WHOLE])}" if WHOLE in gains else ""
        sentences.append(
            f"On {parameters.size.printed(str(name))} at batch {BATCH}, R@1 is "
            f"{none.mean():.1f}% with {NO_MEMORY} and {change(mean)} with memory, in the mean over "
            f"R_M = {listed([percent(ratio) for ratio in ratios])}{whole}."
        )
        if room < paper.GAIN_BATCH_16.value:
            sentences.append(
                f"Only {room:.1f} points are left to gain from there, so the paper's gain of over "
                f"{paper.GAIN_BATCH_16.value:g} is out of reach on this set: the paper's "
                f"baseline is far lower (In-shop: {paper.RATIO_R1['In-shop', 0.0].value:g}%)."
            )
        if mean.mean() > 0:
            sentences.append(f"Of the errors, the memory removes {100 * mean.mean() / room:.0f}%.")
    return " ".join(sentences)
