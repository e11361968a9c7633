"""Figure 3: feature drift in training from scratch; Lemma 1 is in ``lemma``."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper.arms import NO_MEMORY
from xbmlib.study.figures import lemma
from xbmlib.study.notebook import StudyParameters, Verdict, judge, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import DATA, Profile, stated, tuned
from xbmlib.training.experiment import Experiment
from xbmlib.training.schedule import learning_rate
from xbmlib.training.store import RunStore

BATCH = 64


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "drift_curves"


def drift_experiment(profile: Profile, seed: int, **other: Any) -> Experiment:
    """Contrastive loss from scratch (Section 3.2), with two decays of the learning rate."""
    if profile.setting is None:
        found = tuned(DATA[0], "free", NO_MEMORY, BATCH)[0]
        chosen = {name: found[name] for name in ("lr", "lam")}
    else:
        # No memory, and a schedule with decays at known steps.
        chosen = stated(profile.setting, "free") | {"ratio": 0.0, "evaluations": 1}
    return Experiment(
        **chosen
        | {
            "data": profile.first,
            "weights": None,
            "split": profile.split,
            "batch": BATCH,
            "steps": profile.drift_images // BATCH,
            "schedule": "step",
            "drift": profile.deltas,
            "lemma": lemma.PAIRS,
            "seed": seed,
        }
        | other
    )


def experiments(parameters: Parameters) -> list[Experiment]:
    """One drift run per seed, for the study's network and the further ones of Lemma 1."""
    return [
        drift_experiment(size, seed, **network)
        for size, network in lemma.networks(parameters.size)
        for seed in parameters.seed_range
    ]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load the drift runs.

    Returns:
        One row per backbone, seed, step and Δt: data, backbone, step, delta, drift (mean over the
        probes), spread, epsilon, error, C, below_one, and the last three for the head alone
        (Lemma 1, see :meth:`xbmlib.drift.DriftProbe.record`), lr, decays and decays_then (number of
        decays of the rate up to t and up to t - Δt), seed, steps (of the run), run.
    """
    frames = []
    for run in run_all(experiments(parameters), store):
        e = run.experiment

        def decays(step: int, e: Experiment = e) -> int:
            return round(math.log10(e.lr / learning_rate(e, step)))

        frames.append(
            run.drift.assign(
                data=e.data,
                backbone=e.backbone,
                decays=run.drift["step"].map(decays),
                decays_then=(run.drift["step"] - run.drift["delta"]).map(decays),
                seed=e.seed,
                steps=e.steps,
                run=run.id,
            )
        )
    return pd.concat(frames, ignore_index=True)


def main_network(data: pd.DataFrame) -> pd.DataFrame:
    """The rows of the study's network, which comes first; the others are for Lemma 1."""
    return data[data["backbone"] == data["backbone"].iloc[0]]


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of Section 3.2, and the curves in ``data``."""
    return _drift_verdicts(main_network(data), parameters) + lemma.verdicts(data, parameters)


def _drift_verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    steps = int(data["steps"].iloc[0])
    deltas = sorted(data["delta"].unique())
    short = deltas[0]
    # The largest Δt within the first fifth of the steps, to compare with later ones.
    long = max((d for d in deltas[1:] if d <= 0.2 * steps), default=deltas[-1])
    # The claim names 10 iterations: it is judged at that Δt if it was measured.
    ten = paper.DRIFT_DELTAS[0] if paper.DRIFT_DELTAS[0] in set(data["delta"]) else short
    common: dict[str, Any] = {
        "data": f"{parameters.size.first_name}, batch {BATCH}, from scratch, {steps:,} steps, "
        f"profile {parameters.profile}",
        "seeds": data["seed"].nunique(),
    }

    def mean(part: pd.DataFrame) -> pd.Series:
        return part.groupby("seed")["drift"].mean().reindex(data["seed"].unique())

    # Intervals that span a decay belong to neither side of it.
    settled = data[data["decays"] == data["decays_then"]]
    before = settled[settled["decays"] == 0]
    early = mean(before[(before["delta"] == long) & (before["step"] <= 0.2 * steps)])
    late = mean(before[(before["delta"] == long) & (before["step"] >= 0.4 * steps)])
    within = mean(before[(before["delta"] == ten) & (before["step"] >= 0.1 * steps)])
    first = mean(before[(before["delta"] == short) & (before["step"] >= 0.4 * steps)])
    decayed = mean(settled[(settled["delta"] == short) & (settled["decays"] == 1)])
    return [
        Verdict(
            claim=f"Features drift little within {paper.DRIFT_DELTAS[0]} iterations.",
            paper=paper.claims.DRIFT_SMALL.quoted,
            ours=f"D = {mean_spread(within, digits=4)} at Δt = {ten}, after the first tenth",
            rule="D at Δt = 10 (smoke: the smallest) is below 0.1; that of unrelated unit vectors "
            "is 2",
            outcome=judge(within < 0.1, within),
            **common,
        ),
        Verdict(
            claim="Over a large Δt, features change drastically at first, then become stable.",
            paper=f"stable after about {paper.DRIFT_STABLE_AFTER.value:,.0f} iterations "
            f"({paper.DRIFT_STABLE_AFTER.where})",
            ours=f"D(Δt = {long}) = {mean_spread(early, digits=3)} in the first fifth, "
            f"{mean_spread(late, digits=3)} later, before any decay",
            rule="in every seed D at the largest Δt that fits into the first 20% of the steps is "
            "lower after 40% of the steps than in the first 20%",
            outcome=judge(late < early, late, early),
            **common,
        ),
        Verdict(
            claim="When the learning rate decreases, the drift gets extremely slow.",
            paper=paper.claims.DRIFT_SLOWS_WITH_LEARNING_RATE.quoted,
            ours=f"D(Δt = {short}) falls from {mean_spread(first, digits=4)} to "
            f"{mean_spread(decayed, digits=4)} when the rate is divided by 10",
            rule="in every seed D at the smallest Δt falls at least threefold",
            outcome=judge(decayed < first / 3, decayed, first),
            **common,
        ),
    ]
