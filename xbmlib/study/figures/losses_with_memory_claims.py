"""The verdicts on Table 1."""

from __future__ import annotations

from typing import Any

import pandas as pd

from xbmlib import paper
from xbmlib.paper import claims
from xbmlib.paper.arms import MEMORY, NO_MEMORY, loss_name
from xbmlib.study.figures.losses_with_memory import BATCH, Parameters, by_arm, numbers
from xbmlib.study.profiles import LOSSES
from xbmlib.study.verdict import Verdict, judged
from xbmlib.study.words import listed


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of the abstract and of Section 4.3, "With General Pair-based DML"."""
    profile = parameters.size
    cells = by_arm(data, profile)
    pairs = {
        (name, loss): (cells[name, loss, NO_MEMORY], cells[name, loss, MEMORY])
        for name in paper.SETS
        for loss in LOSSES
        if (name, loss, MEMORY) in cells
    }
    gains = {key: after["R@1"] - before["R@1"] for key, (before, after) in pairs.items()}

    ms = "multi_similarity"
    updates = data.groupby("loss")["updates"].unique().map(list)
    # One loss is judged against another only at an equal number of updates.
    even = updates.get(ms) == updates["contrastive"]

    def above(one: tuple[str, str], other: tuple[str, str]) -> dict[str, Any]:
        """R@1 with one loss and arm minus that with another, by data set."""
        return {
            name: cells[name, *one]["R@1"] - cells[name, *other]["R@1"]
            for name in paper.SETS
            if even and (name, *one) in cells and (name, *other) in cells
        }

    def of(*losses: str, memory: tuple[str, ...]) -> dict[str, Any]:
        """What verdicts share: losses with their updates, and R_M where memory is judged."""
        shown = [
            f"{loss_name(str(loss))}: "
            + (f"R_M = {numbers(part.loc[part['ratio'] > 0, 'ratio'])}, " if loss in memory else "")
            + f"{numbers(part['updates'])} updates"
            for loss, part in data.groupby("loss", sort=False)
            if loss in losses
        ]
        where = f"{profile.name_data()}, batch {BATCH}, profile {parameters.profile}"
        return {"names": profile.stands_for, "data": "; ".join([where, *shown])}

    contrastive = {name: pair for (name, loss), pair in pairs.items() if loss == "contrastive"}
    uneven = "" if even or ms not in updates else "not judged at different numbers of updates"
    # A loss with fewer updates than another is of the earlier protocol, at other R_M than the rule.
    most = max(updates)
    earlier = [loss_name(str(loss)) for loss, made in updates.items() if made != most]
    left = f"{listed(earlier)}: not judged with fewer updates" if earlier else ""
    longest = {
        f"{name}, {loss_name(loss)}": pair
        for (name, loss), pair in pairs.items()
        if updates[loss] == most
    }
    without = above((ms, NO_MEMORY), ("contrastive", NO_MEMORY))
    less = {
        name: gains[name, "contrastive"] - gains[name, ms]
        for name in paper.SETS
        if even and (name, ms) in gains
    }
    return [
        judged(
            claims.CONTRASTIVE_GAINS,
            {name: gains[name, "contrastive"] for name in contrastive},
            arms=contrastive,
            **of("contrastive", memory=("contrastive",)),
        ),
        judged(
            claims.EVERY_LOSS_GAINS,
            {case: after["R@1"] - before["R@1"] for case, (before, after) in longest.items()},
            arms=longest,
            detail=left,
            **of(*LOSSES, memory=tuple(LOSSES)),
        ),
        judged(
            claims.MS_BEATS_CONTRASTIVE_WITHOUT_MEMORY,
            {name: values for name, values in without.items() if name == "VehicleID"},
            detail=uneven,
            **of("contrastive", ms, memory=()),
        ),
        judged(
            claims.CONTRASTIVE_BEATS_MS,
            above(("contrastive", MEMORY), (ms, NO_MEMORY)),
            detail=uneven,
            **of("contrastive", ms, memory=("contrastive",)),
        ),
        judged(
            claims.MS_GAINS_LESS,
            less,
            detail=uneven,
            **of("contrastive", ms, memory=("contrastive", ms)),
        ),
    ]
