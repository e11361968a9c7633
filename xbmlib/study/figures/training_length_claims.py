"""The verdicts of ``training_length``: what the number of updates explains."""

from __future__ import annotations

from typing import Any

import pandas as pd

from xbmlib import paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY, loss_name
from xbmlib.study.figures.losses_with_memory import BATCH, stated
from xbmlib.study.figures.training_length import (
    LONG,
    LOSS,
    PLACE,
    SMALL,
    Parameters,
    behind,
    rows_of,
)
from xbmlib.study.profiles import LOSSES
from xbmlib.study.verdict import BY_TEST, Verdict, clear, mean_spread

# Change of the gain in points of R@1 within which a length counts as long enough.
SETTLED = 1.0
BY_SEED = "in the mean over seeds (paired one-sided t at 5%)"
# Margin in points of R@1 within which shuffled batches count as equal to PK batches.
EQUAL = paper.claims.SHUFFLE_AS_GOOD.rule.bars[0].figure


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """Whether the gain of the memory grows with the number of updates, and what follows from it."""
    size, profile = parameters.size, f"profile {parameters.profile}"
    seeds: Any = {"seeds": data["seed"].nunique()}
    where = f"R_M as searched, {size.name_data(size.first)}, {profile}"
    first = seeds | {"data": f"{LOSS}, {where}"}
    longer = rows_of(data, "length")
    (memory,) = set(longer["arm"]) - {NO_MEMORY}
    ratio = memory.removeprefix(f"{MEMORY} (").removesuffix(")")
    length = f"{size.name_data(size.data[PLACE])}, batch {BATCH}, {ratio}, {profile}"
    name = size.printed(size.data[PLACE])
    found = _longer(longer, name, seeds | {"data": f"{LOSS}, {length}"})
    if len(part := rows_of(data, "batch")):
        at = _indexed(part)
        every_loss = seeds | {"data": where}
        found += [
            _small_batch(at, size.equal, every_loss),
            _as_long(at, every_loss),
        ]
    if len(gap := behind(data)):
        found += _shuffled(gap, first)
    return found


def _indexed(part: pd.DataFrame) -> pd.Series:
    return part.set_index(["side", "loss", "updates", "batch", "seed"])["R@1"].sort_index()


def _longer(part: pd.DataFrame, name: str, common: Any) -> list[Verdict]:
    """The gain against the length of training, and what the second half of its updates changes."""
    r1 = part.set_index(["side", "updates", "seed"])["R@1"].sort_index()
    gain = r1[MEMORY] - r1[NO_MEMORY]
    lengths = sorted(part["updates"].unique())
    ours = "; ".join(
        f"{n:,} updates {mean_spread(gain[n])} points, {NO_MEMORY} {mean_spread(r1[NO_MEMORY, n])}"
        for n in lengths
    )
    # One length says nothing of how the gain changes.
    several = len(lengths) > 1
    growth = gain[lengths[-1]] - gain[lengths[0]] if several else gain.iloc[:0]
    twice = gain[lengths[-1]] - gain[lengths[-2]] if several else gain.iloc[:0]
    return [
        Verdict(
            claim=f"The gain of the memory on {name} grows with the length of training (not "
            "claimed: the paper trains at one length).",
            paper="no value stated; the released code makes 35,000 updates",
            ours=ours,
            rule=f"the gain at the longest exceeds that at the shortest {BY_SEED}",
            outcome=clear(growth),
            **common,
        ),
        Verdict(
            claim="From half of the protocol's updates to all of them, the gain of the memory on "
            f"{name} changes by less than {SETTLED:g} point (not claimed).",
            paper="no value stated",
            ours=f"{mean_spread(twice)} points from {lengths[-2]:,} to {lengths[-1]:,} updates"
            if several
            else "not measured here",
            rule=f"the change of the gain is above -{SETTLED:g} and below {SETTLED:g} point "
            f"{BY_SEED}",
            outcome=clear(SETTLED - twice, SETTLED + twice),
            **common,
        ),
    ]


def _gain(at: pd.Series, loss: str, updates: int, batch: int) -> pd.Series:
    return at[MEMORY, loss, updates, batch] - at[NO_MEMORY, loss, updates, batch]


def _ends(at: pd.Series) -> tuple[int, int]:
    """The fewest and the most updates."""
    updates = at.index.get_level_values("updates")
    return int(updates.min()), int(updates.max())


def _small_batch(at: pd.Series, equal: str, common: Any) -> Verdict:
    """The gain of each loss at a small batch against that at a large one."""
    few, many = _ends(at)
    small = {loss: _gain(at, loss, many, SMALL) for loss in LOSSES}
    large = {loss: _gain(at, loss, few, BATCH) for loss in LOSSES}
    return Verdict(
        claim=f"With every loss the gain of the memory is larger at batch {SMALL} than at batch "
        f"{BATCH}, {equal} (not claimed as such: Fig. 6 is of the "
        "contrastive loss).",
        paper="no value stated",
        ours="; ".join(
            f"{loss_name(loss)} {mean_spread(small[loss])} points at batch {SMALL}, "
            f"{mean_spread(large[loss])} at batch {BATCH}"
            for loss in LOSSES
        ),
        rule=f"for every loss the gain at batch {SMALL} exceeds that at batch {BATCH} {BY_SEED}",
        outcome=clear(*(small[loss] - large[loss] for loss in LOSSES)),
        **common,
    )


def _as_long(at: pd.Series, common: Any) -> Verdict:
    """Table 1's claim at the number of updates of the small batch."""
    _, many = _ends(at)
    gains = {loss: _gain(at, loss, many, BATCH) for loss in LONG}
    names = " and the ".join(map(loss_name, LONG))
    return Verdict(
        claim=f"R@1 with the {names} loss at batch {BATCH} rises with the memory, after {many:,} "
        "updates.",
        paper="; ".join(f"{loss_name(loss)}: {stated(loss)}" for loss in LONG),
        ours="; ".join(f"{loss_name(loss)} {mean_spread(g)} points" for loss, g in gains.items()),
        rule=f"for each, the gain in R@1: {BY_TEST}",
        outcome=clear(*gains.values()),
        **common,
    )


def _shuffled(gap: pd.Series, common: Any) -> list[Verdict]:
    """Fig. 6's claim when shuffled batches train for longer, and what that changes."""
    few, many = _ends(gap)
    ours = "R@1 with PK batches minus that with shuffled batches: " + "; ".join(
        f"{mean_spread(gap[batch, n])} points at batch {batch} after {n:,} updates of each"
        for batch, n in gap.index.droplevel("seed").unique()
    )
    short, long = gap[BATCH, few], gap[BATCH, many]
    return [
        Verdict(
            claim="With memory, R@1 with shuffled batches is as high as with PK batches, after "
            f"{many:,} updates.",
            paper=paper.claims.SHUFFLE_AS_GOOD.quoted,
            ours=ours,
            rule=f"at batch {BATCH}, R@1 with shuffled batches plus {EQUAL:g} point exceeds that "
            f"with PK batches {BY_SEED}",
            outcome=clear(EQUAL - long),
            **common,
        ),
        Verdict(
            claim="With memory, R@1 with shuffled batches approaches that with PK batches as the "
            "number of updates grows (not claimed).",
            paper="no value stated",
            ours=ours,
            rule=f"at batch {BATCH}, R@1 is less far behind after {many:,} updates than after "
            f"{few:,}, {BY_SEED}",
            outcome=clear(short - long),
            **common,
        ),
    ]
