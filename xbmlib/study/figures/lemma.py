"""Lemma 1: what C is, in which parameters, and in which network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from xbmlib import paper
from xbmlib.study.notebook import StudyParameters, Verdict, judge, mean_spread
from xbmlib.study.profiles import PROFILES, Profile

# Pairs whose gradient error is measured at each probe.
PAIRS = 32
# In addition to the study's network, by profile: the paper's, from scratch, on the data set (its
# place among the profile's) that has the colours that this network takes.
NETWORKS, PLACE = {"full": ("googlenet",)}, 1
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
        backbone, data, parameters, iterations, C, C < 1 (percent of the pairs): means over the run
        and all Δt ± standard deviation over seeds.
    """
    rows = []
    for backbone, part in data.groupby("backbone", sort=False):
        for suffix, theta in THETA.items():
            c, below = _by_seed(part, suffix)
            rows.append(
                {"backbone": backbone, "data": part["data"].iloc[0], "parameters": theta,
                 "iterations": part["steps"].iloc[0], "C": mean_spread(c, digits=2),
                 "C < 1": mean_spread(100 * below, "%")}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _by_seed(part: pd.DataFrame, suffix: str) -> tuple[pd.Series, pd.Series]:
    """Mean C of each seed, and its share of pairs whose C is below 1."""
    mean = part.groupby("seed")[[f"C{suffix}", f"below_one{suffix}"]].mean()
    return mean[f"C{suffix}"], mean[f"below_one{suffix}"]


def verdicts(data: pd.DataFrame, parameters: StudyParameters) -> list[Verdict]:
    """Lemma 1 in every network, for all parameters and for those of the embedding layer."""
    found = []
    for backbone, part in data.groupby("backbone", sort=False):
        for suffix, theta in THETA.items():
            c, below = _by_seed(part, suffix)
            found.append(
                Verdict(
                    claim="The gradient's error is bounded by the embedding's: C of Lemma 1 is "
                    f"often less than 1; here for {theta}, {backbone} network.",
                    paper=f'"{paper.LIPSCHITZ.text}" ({paper.LIPSCHITZ.where}); it does not state '
                    "for which parameters",
                    ours=f"error / ε is below 1 for {mean_spread(100 * below)}% of the pairs, "
                    f"{mean_spread(c, digits=2)} on average",
                    rule="in every seed it is below 1 for more than half of the pairs, over the "
                    "whole run and all Δt",
                    outcome=judge(below > 0.5, below),
                    data=f"{parameters.size.name_data(part['data'].iloc[0])}, batch 64, from "
                    f"scratch, {part['steps'].iloc[0]:,} steps, profile {parameters.profile}",
                    seeds=len(below),
                )
            )
    return found
