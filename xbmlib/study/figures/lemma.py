"""Lemma 1: what C is, in which parameters, and in which network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from xbmlib import paper
from xbmlib.study.notebook import StudyParameters, Verdict, judge, mean_spread
from xbmlib.study.profiles import PROFILES, Profile

# Pairs whose gradient error is measured at each probing.
PAIRS = 32
# Beside the study's own network, where it is for the profile to tell: the paper's, from scratch, on
# the data set (its place among the profile's) that has colours, as it wants them.
NETWORKS, PLACE = {"full": ("googlenet",)}, 1
# What θ stands for, by the suffix of its columns.
THETA = {"": "all parameters", "_head": "those of the embedding layer alone"}


def networks(profile: Profile) -> list[tuple[Profile, dict[str, Any]]]:
    """Size and fields of the drift runs: the study's own, then other networks, as long as quick."""
    short = PROFILES["quick"]
    shorter = replace(profile, drift_images=short.drift_images, deltas=short.deltas)
    return [(profile, {})] + [
        (shorter, {"backbone": name, "data": profile.data[PLACE]})
        for name in NETWORKS.get(profile.name, ())
    ]


def table(data: pd.DataFrame) -> pd.DataFrame:
    """C and the share of pairs in which it is below 1: a row for each network and θ.

    Args:
        data: as :func:`xbmlib.study.figures.drift_curves.frame`.

    Returns:
        backbone, data, parameters, iterations, C, C < 1 (percent of the pairs): means over the run
        and all Δt, their spread over seeds.
    """
    rows = []
    for backbone, part in data.groupby("backbone", sort=False):
        for suffix, told in THETA.items():
            c, below = _of(part, suffix)
            rows.append(
                {"backbone": backbone, "data": part["data"].iloc[0], "parameters": told,
                 "iterations": part["steps"].iloc[0], "C": mean_spread(c, digits=2),
                 "C < 1": mean_spread(100 * below, "%")}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _of(part: pd.DataFrame, suffix: str) -> tuple[pd.Series, pd.Series]:
    """C and the share below 1 of each seed."""
    mean = part.groupby("seed")[[f"C{suffix}", f"below_one{suffix}"]].mean()
    return mean[f"C{suffix}"], mean[f"below_one{suffix}"]


def verdicts(data: pd.DataFrame, parameters: StudyParameters) -> list[Verdict]:
    """Lemma 1 in every network, in all of the parameters and in the embedding layer's."""
    found = []
    for backbone, part in data.groupby("backbone", sort=False):
        for suffix, told in THETA.items():
            c, below = _of(part, suffix)
            found.append(
                Verdict(
                    claim="The gradient's error is bounded by the embedding's: C of Lemma 1 is "
                    f"often less than 1; here for {told}, {backbone} network.",
                    paper=f'"{paper.LIPSCHITZ.text}" ({paper.LIPSCHITZ.where}); it does not say of '
                    "which parameters",
                    ours=f"error / ε is below 1 for {mean_spread(100 * below)}% of the pairs, "
                    f"{mean_spread(c, digits=2)} on average",
                    rule="in every seed it is below 1 for more than half of the pairs, over the "
                    "whole run and all Δt",
                    outcome=judge(below > 0.5, below),
                    data=f"{parameters.size.told(part['data'].iloc[0])}, batch 64, from scratch, "
                    f"{part['steps'].iloc[0]:,} steps, profile {parameters.profile}",
                    seeds=len(below),
                )
            )
    return found
