"""The gain of the memory by start and learning rate."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.paper.arms import MEMORY, NO_MEMORY, label, side
from xbmlib.plots.style import COLOURS, axes, curve, look, seeds, sets

# Marks of the learning rates, side by side above one baseline; and how far apart they stand.
FILLS = ("full", "left")
STEP = 0.16


def r1_by_start(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """The gain in R@1 at each learning rate, above the R@1 with no memory that it is over.

    Args:
        data: tidy, one row per run: data, start, lr, arm, seed, R@1.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    arms = data.assign(side=data["arm"].map(side))
    paired = arms.set_index(["start", "lr", "seed", "side"])["R@1"].unstack()
    rows = paired.assign(gain=paired[MEMORY] - paired[NO_MEMORY]).reset_index()
    rows["base"] = rows.groupby(["start", "lr"])[NO_MEMORY].transform("mean")
    # A start has one baseline if that is of the same runs at both rates, else one for each.
    found = rows.set_index(["start", "lr"])["base"]
    keys = list(dict.fromkeys(zip(data["start"], data["lr"], strict=True)))
    bases = list(dict.fromkeys((start, found.loc[[(start, lr)]].iloc[0]) for start, lr in keys))
    rows["place"] = [bases.index(b) for b in zip(rows["start"], rows["base"], strict=True)]
    rates = list(data["lr"].unique())
    memory = next(label(arm) for arm in data["arm"] if side(arm) == MEMORY)
    for i, (rate, fill) in enumerate(zip(rates, FILLS, strict=True)):
        part = rows[rows["lr"] == rate]
        curve(ax, part.assign(place=part["place"] + STEP * (i - 0.5)), "place", "gain", ls="", ms=5,
              fillstyle=fill, mfcalt="white", **look("memory"),
              label=f"{memory}, {_rate(rate)}")  # fmt: skip
    ax.axhline(0, color=COLOURS["batch"], label=NO_MEMORY)
    ax.set_xticks(range(len(bases)), [f"{_from(s)}\n{NO_MEMORY}: {b:.1f}%" for s, b in bases])
    ax.margins(x=0.4)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18))
    ax.set_title(f"{sets(data)}, batch 16, contrastive, {seeds(data)}")
    ax.set(ylabel="gain in R@1 (points)")
    return ax


def _from(start: str) -> str:
    return "from scratch" if start == "scratch" else f"{start} weights"


def _rate(rate: str) -> str:
    return "tuned rate" if rate == "tuned" else f"rate {rate}"
