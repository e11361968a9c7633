"""The verdicts on Figures 1 (left and middle) and 6."""

from __future__ import annotations

from typing import Any

import pandas as pd

from xbmlib import paper
from xbmlib.paper import claims
from xbmlib.paper.arms import NO_MEMORY, arm, loss_name
from xbmlib.study.comparison import at
from xbmlib.study.figures.ablation_batch_size import (
    ARMS,
    KINDS,
    LARGE,
    LOSS,
    RATIO,
    SMALL,
    Parameters,
    r1_of,
)
from xbmlib.study.profiles import LOSSES, Profile
from xbmlib.study.verdict import Verdict, judged


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of Section 3.1, of Section 4.3, "Mini-batch Size", and of Fig. 1 and 6.

    Those that compare batch sizes are judged at an equal number of updates, those that compare
    losses or samplers at one batch size each.
    """
    arms, kinds = r1_of(data, ARMS), r1_of(data, KINDS)
    profile = parameters.size
    sop = profile.first
    updates = data.loc[data["part"] == ARMS, "updates"].max()
    none, memory = at(arms, sop, LOSS, 0.0, "pk"), at(arms, sop, LOSS, RATIO, "pk")
    without, with_memory = _change(none).abs(), _change(memory).abs()
    weighted = {
        f"batch {batch}": at(kinds, sop, "multi_similarity", 0.0, "pk", batch)
        - at(kinds, sop, LOSS, 0.0, "pk", batch)
        for batch in (16, 32)
        if batch in profile.batches
    }
    by_sampler = {
        f"batch {batch}": at(kinds, sop, LOSS, RATIO, "shuffle", batch)
        - at(kinds, sop, LOSS, RATIO, "pk", batch)
        for batch in profile.batches
    }
    levels = "; ".join(
        _levels(f"{profile.printed(sop)}, {name}", curve)
        for name, curve in ((arm(RATIO), memory), (NO_MEMORY, none))
    )
    where = f"{updates:,} updates, profile {parameters.profile}"
    at_sop: dict[str, Any] = {
        "data": f"{profile.first_name}, contrastive, {where}",
        "detail": levels,
        "names": profile.stands_for,
    }
    earlier: dict[str, Any] = {
        "data": f"{profile.first_name}, {profile.equal}, profile {parameters.profile}",
        "names": profile.stands_for,
    }
    return [
        judged(
            claims.LARGER_BATCH_HELPS,
            _larger(arms, kinds, profile),
            detail="; ".join(
                _levels(profile.printed(ours), at(arms, ours, LOSS, 0.0, "pk"))
                for ours in profile.data
            ),
            names=profile.stands_for,
            data=f"{profile.name_data()}, {NO_MEMORY}, {where}",
            seeds=data["seed"].nunique(),
        ),
        judged(claims.WEIGHTING_HELPS_SMALL_BATCHES, weighted, **earlier),
        judged(
            claims.BATCH_16_BEATS_256,
            {"SOP": at(memory, SMALL) - at(none, LARGE)},
            **at_sop,
        ),
        judged(
            claims.BATCH_MATTERS_LITTLE,
            {"SOP": without - with_memory},
            sizes={"SOP": with_memory},
            **at_sop,
        ),
        judged(claims.SHUFFLE_AS_GOOD, by_sampler, **earlier),
    ]


def _larger(arms: pd.Series, kinds: pd.Series, profile: Profile) -> dict[str, pd.Series]:
    """R@1 at the paper's largest batch minus that at its smallest, where both are run.

    Of the other losses only at an equal number of updates.
    """
    found = {
        f"{name}, {LOSS}": _change(at(arms, ours, LOSS, 0.0, "pk"))
        for name, ours in zip(paper.SETS, profile.data, strict=True)
    }
    if profile.setting is not None:
        found |= {
            f"SOP, {loss_name(loss)}": _change(at(kinds, profile.first, loss, 0.0, "pk"))
            for loss in LOSSES
        }
    return {case: values for case, values in found.items() if len(values)}


def _change(curve: pd.Series) -> pd.Series:
    """R@1 at the paper's largest batch minus that at its smallest; none where one is missing."""
    return (at(curve, LARGE) - at(curve, SMALL)).dropna()


def _levels(name: str, curve: pd.Series) -> str:
    """R@1 at every batch size."""
    means = curve.groupby("batch").mean()
    return f"{name}: R@1 " + ", ".join(f"{r1:.1f} at batch {batch}" for batch, r1 in means.items())
