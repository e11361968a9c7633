"""Figure 3: feature drift in training from scratch; Lemma 1 is in ``lemma``."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper import claims
from xbmlib.paper.arms import NO_MEMORY, network_name
from xbmlib.study.comparison import Quantity, at
from xbmlib.study.figures import lemma
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import DATA, Profile, stated, tuned
from xbmlib.study.verdict import Verdict, judged
from xbmlib.study.words import listed
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
    for run in run_all(experiments(parameters), store, parameters.quicker(experiments)):
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
    seeds = data["seed"].unique()
    stable = paper.DRIFT_STABLE_AFTER.value
    common: dict[str, Any] = {
        "names": {},
        "data": f"{parameters.size.first_name}, batch {BATCH}, from scratch, "
        f"{int(data['steps'].iloc[0]):,} steps, {network_name(data['backbone'].iloc[0])} network, "
        f"initial learning rate {data['lr'].max():g}, "
        f"profile {parameters.profile}",
        "unit": "",
    }

    def by_seed(rows: pd.DataFrame, how: str) -> dict[str, pd.Series]:
        """Of each Δt: a value per seed, NaN where no such step was logged."""
        return {
            f"Δt = {delta}": rows[rows["delta"] == delta]
            .groupby("seed")["drift"]
            .agg(how)
            .reindex(seeds)
            for delta in paper.DRIFT_DELTAS
        }

    # An interval that spans a decay belongs to neither side of it.
    settled = data[data["decays"] == data["decays_then"]]
    before = settled[settled["decays"] == 0]
    early, later = before[before["step"] <= stable], before[before["step"] > stable]
    largest, largest_later = by_seed(data, "max"), by_seed(data[data["step"] > stable], "max")
    first, then = by_seed(early, "mean"), by_seed(later, "mean")
    decayed = by_seed(settled[settled["decays"] == 1], "mean")
    short, middle, long = first

    def only(values: dict[str, pd.Series], *cases: str) -> dict[str, pd.Series]:
        return {case: values[case] for case in cases}

    return [
        judged(claims.DRIFT_SMALL, only(largest, short), digits=4, **common),
        judged(
            claims.DRIFT_EARLY,
            {case: first[case] - then[case] for case in (middle, long)},
            digits=3,
            **common,
        ),
        judged(claims.DRIFT_SMALL_OVER_LARGE_DELTA, only(largest_later, long), digits=3, **common),
        judged(
            claims.DRIFT_SLOWS_WITH_LEARNING_RATE,
            {case: then[case] / decayed[case] for case in then},
            **common | {"unit": " times"},
        ),
    ]


def comparison(data: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """D of each Δt in parts of the training, and C; the paper prints no D and a bound for C."""
    main = main_network(data)
    stable = paper.DRIFT_STABLE_AFTER.value
    settled = main[main["decays"] == main["decays_then"]]
    before = settled[settled["decays"] == 0]
    parts = {
        "largest D": main.groupby(["delta", "seed"])["drift"].max(),
        f"mean D in the first {stable:,} iterations": before[before["step"] <= stable],
        "mean D from there to the first decay of the rate": before[before["step"] > stable],
        "mean D after the first decay": settled[settled["decays"] == 1],
    }
    rows = [
        Quantity(
            f"{parameters.size.first_name}, Δt = {delta}",
            what,
            at(part if isinstance(part, pd.Series) else
               part.groupby(["delta", "seed"])["drift"].mean(), delta),
            digits=3,
        )
        for delta in sorted(main["delta"].unique())
        for what, part in parts.items()
    ]  # fmt: skip
    for backbone, part in data.groupby("backbone", sort=False):
        for suffix, theta in lemma.THETA.items():
            c = part.groupby("seed")[f"C{suffix}"].mean()
            stated = paper.LIPSCHITZ.value if backbone == lemma.JUDGED_ON and not suffix else None
            of = f"{parameters.size.name_data(part['data'].iloc[0])}, {network_name(backbone)}"
            rows.append(Quantity(of, f"C of {theta}", c, stated, "often below", digits=2))
    return rows


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    main = main_network(data)
    settled = main[main["decays"] == main["decays_then"]]
    settled = settled[settled["step"] > paper.DRIFT_STABLE_AFTER.value]
    # The ratio of each seed, as the verdict has it.
    means = settled.groupby(["decays", "delta", "seed"])["drift"].mean().unstack("decays")
    times = (
        (means[0] / means[1]).groupby("delta").mean().dropna()
        if {0, 1} <= set(means)
        else pd.Series()
    )
    slower = (
        f" After {paper.DRIFT_STABLE_AFTER.value:,} iterations, mean D at a tenth of the learning "
        f"rate is smaller by a factor of "
        f"{listed([f'{x:.1f} at Δt = {delta}' for delta, x in times.items()])}: embeddings move "
        "with the weights."
        if len(times)
        else ""
    )
    networks = []
    for backbone, part in data.groupby("backbone", sort=False):
        c = [f"{part[f'C{key}'].mean():.3g} for {theta}" for key, theta in lemma.THETA.items()]
        networks.append(f"in the {network_name(backbone)} network {listed(c)}")
    other = "".join(
        f" {network_name(backbone)} on {parameters.size.printed(part['data'].iloc[0])} has a "
        f"largest D of {_largest(part)}."
        for backbone, part in data.groupby("backbone", sort=False)
        if backbone != main["backbone"].iloc[0]
    )
    return (
        f"On {parameters.size.first_name}, from scratch at an initial learning rate of "
        f"{main['lr'].max():g} (profile `paper`: {paper.SETTINGS['paper'].fields['lr']:g}), the "
        f"largest D is {_largest(main)} in the mean over seeds, where unrelated unit vectors have "
        f"D = 2.{slower}{other} C of Lemma 1 is "
        f"{'; '.join(networks)}. Each layer that θ holds adds to the squared error of the gradient."
    )


def _largest(data: pd.DataFrame) -> str:
    """The largest D of one network at each Δt, in the mean over seeds, in words."""
    by_delta = data.groupby(["delta", "seed"])["drift"].max().groupby("delta").mean()
    return listed([f"{d:.2f} at Δt = {delta}" for delta, d in by_delta.items()])
