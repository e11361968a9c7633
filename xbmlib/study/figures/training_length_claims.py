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
    found = _longer(longer, seeds | {"data": f"{LOSS}, {length}"})
    if len(part := rows_of(data, "batch")):
        at = _indexed(part)
        every_loss = seeds | {"data": where}
        found += [
            _small_batch(at, size.equal, every_loss),
            _as_long(at, every_loss),
            _little(at, first),
        ]
    if len(part := rows_of(data, "updates")):
        at = _indexed(part)
        found += [_large(at, first), _little(at, first)]
    if len(gap := behind(data)):
        found += _shuffled(gap, first)
    return found


def _indexed(part: pd.DataFrame) -> pd.Series:
    return part.set_index(["side", "loss", "updates", "batch", "seed"])["R@1"].sort_index()


def _longer(part: pd.DataFrame, common: Any) -> list[Verdict]:
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
            claim="The gain of the memory grows with the length of training (not claimed: the "
            "paper trains at one length).",
            paper="no value stated; the released code makes 35,000 updates",
            ours=ours,
            rule=f"the gain at the longest exceeds that at the shortest {BY_SEED}",
            outcome=clear(growth),
            **common,
        ),
        Verdict(
            claim="From half of the protocol's updates to all of them, the gain of the memory "
            f"changes by less than {SETTLED:g} point (not claimed).",
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


def _large(at: pd.Series, common: Any) -> Verdict:
    """Fig. 1's claim at an equal number of updates at every batch size."""
    none = at[NO_MEMORY, LOSS]
    updates, least, most, change = _change(none)
    return Verdict(
        claim="R@1 with the contrastive loss is higher at a large batch than at a small one, after "
        f"{updates:,} updates at every batch size.",
        paper=f"{paper.SOP_GAIN_16_TO_256.value} points, batch 16 to 256 "
        f"(SOP, {paper.SOP_GAIN_16_TO_256.where})",
        ours=f"{mean_spread(change)} points, batch {least} to {most}: "
        f"{mean_spread(none[updates, least])} to {mean_spread(none[updates, most])}",
        rule=f"R@1 at batch {most} exceeds that at batch {least} {BY_SEED}",
        outcome=clear(change),
        **common,
    )


def _little(at: pd.Series, common: Any) -> Verdict:
    """Section 4.3's claim at an equal number of updates at every batch size."""
    updates, least, most, change = _change(at[NO_MEMORY, LOSS])
    *_, with_memory = _change(at[MEMORY, LOSS])
    return Verdict(
        claim=f"With memory, R@1 changes little with the batch size, after {updates:,} updates at "
        "every batch size.",
        paper=f"{paper.SOP_MEMORY_GAIN_16_TO_256.value} points with memory, "
        f"{paper.SOP_GAIN_16_TO_256.value} points, batch 16 to 256 with {NO_MEMORY} (SOP, "
        f"{paper.SOP_MEMORY_GAIN_16_TO_256.where})",
        ours=f"R@1 at batch {most} minus that at batch {least}: {mean_spread(with_memory)} points "
        f"with memory, {mean_spread(change)} with {NO_MEMORY}",
        rule=f"half of the change with {NO_MEMORY} exceeds the change with memory {BY_SEED}",
        outcome=clear(change.abs() / 2 - with_memory.abs()),
        **common,
    )


def _change(r1: pd.Series) -> tuple[int, int, int, pd.Series]:
    """The most updates, the smallest and largest batch with them, and the change of R@1."""
    _, updates = _ends(r1)
    batches = r1[updates].index.get_level_values("batch")
    least, most = int(batches.min()), int(batches.max())
    return updates, least, most, r1[updates, most] - r1[updates, least]


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
