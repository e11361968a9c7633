"""Lemma 1: what C is, in which parameters, and in which network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from xbmlib import paper
from xbmlib.paper import claims
from xbmlib.paper.arms import network_name
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.profiles import PROFILES, Profile
from xbmlib.study.verdict import BY_TEST, Verdict, clear, judged, mean_spread
from xbmlib.study.words import listed

# Pairs whose gradient error is measured at each probe.
PAIRS = 32
# In addition to the study's network, by profile: the paper's, from scratch, on the data set (its
# place among the profile's) that has the colours that this network takes.
NETWORKS, PLACE = {"full": ("googlenet",)}, 1
# The network that the rule of the claim names, as ours are named.
JUDGED_ON = "googlenet"
# Suffix of the columns to the parameters that θ stands for.
THETA = {"": "all parameters", "_head": "those of the embedding layer alone"}


def networks(profile: Profile) -> list[tuple[Profile, dict[str, Any]]]:
    """Size and fields of the drift runs: the study's network, then others for as long as quick."""
    short = PROFILES["quick"]
    shorter = replace(profile, drift_images=short.drift_images, deltas=short.deltas)
    return [(profile, {})] + [
        (shorter, {"backbone": name, "data": profile.data[PLACE]})
        for name in NETWORKS.get(profile.name, ())
    ]


def table(data: pd.DataFrame) -> pd.DataFrame:
    """C, and the share of pairs whose C is below 1: one row per network and θ.

    Args:
        data: as returned by :func:`xbmlib.study.figures.drift_curves.frame`.

    Returns:
        network, data, parameters, iterations, C, C < 1 (percent of the pairs): means over the run
        and all Δt ± standard deviation over seeds.
    """
    rows = []
    for backbone, part in data.groupby("backbone", sort=False):
        for suffix, theta in THETA.items():
            c, below = _by_seed(part, suffix)
            rows.append(
                {"network": network_name(str(backbone)), "data": part["data"].iloc[0],
                 "parameters": theta, "iterations": part["steps"].iloc[0],
                 "C": mean_spread(c, digits=2),
                 "C < 1": mean_spread(100 * below, "%")}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _by_seed(part: pd.DataFrame, suffix: str) -> tuple[pd.Series, pd.Series]:
    """Mean C of each seed, and its share of pairs whose C is below 1."""
    mean = part.groupby("seed")[[f"C{suffix}", f"below_one{suffix}"]].mean()
    return mean[f"C{suffix}"], mean[f"below_one{suffix}"]


def verdicts(data: pd.DataFrame, parameters: StudyParameters) -> list[Verdict]:
    """Lemma 1 for all parameters of the paper's network; then every other network and θ."""
    found = []
    for backbone, part in data.groupby("backbone", sort=False):
        for suffix, theta in THETA.items():
            c, below = _by_seed(part, suffix)
            deltas = [str(delta) for delta in sorted(part["delta"].unique())]
            percent, detail = 100 * below, f"C is {mean_spread(c, digits=2)} on average"
            where = (
                f"{parameters.size.name_data(part['data'].iloc[0])}, batch 64, from scratch, "
                f"{part['steps'].iloc[0]:,} steps, Δt = {listed(deltas)}, "
                f"{network_name(backbone)} network, profile {parameters.profile}"
            )
            if backbone == JUDGED_ON and not suffix:
                claim = claims.GRADIENT_ERROR_BOUNDED
                found.append(
                    judged(claim, {theta: percent}, names={}, unit="%", detail=detail, data=where)
                )
            else:
                found.append(_further(percent, theta, detail, where))
    if JUDGED_ON not in set(data["backbone"]):
        found.insert(0, judged(claims.GRADIENT_ERROR_BOUNDED, {}, names={}, data=where))
    return found


def _further(percent: pd.Series, theta: str, detail: str, where: str) -> Verdict:
    """The same question for other parameters, or another network, than the claim's."""
    return Verdict(
        claim=f"The gradient's error is bounded by the embedding's; here for {theta}.",
        paper=f'"{paper.LIPSCHITZ.text}" ({paper.LIPSCHITZ.where}); it does not state for which '
        "parameters",
        ours=f"below 1 for {mean_spread(percent, '%')} of the pairs; {detail}",
        rule=f"the share of pairs minus 50%: {BY_TEST}",
        outcome=clear(percent - 50),
        data=where,
        seeds=len(percent),
    )
