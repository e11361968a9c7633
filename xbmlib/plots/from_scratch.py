"""The gain of the memory by start and learning rate."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.paper.arms import MEMORY, NO_MEMORY, side
from xbmlib.plots.style import COLOURS, axes, curve, look, seeds, sets


def r1_by_start(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """The gain in R@1 for each start and learning rate; below each, R@1 with no memory.

    Args:
        data: tidy, one row per run: data, start, lr, arm, seed, R@1.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    arms = data.assign(side=data["arm"].map(side))
    paired = arms.set_index(["start", "lr", "seed", "side"])["R@1"].unstack()
    paired["gain"] = paired[MEMORY] - paired[NO_MEMORY]
    settings = list(dict.fromkeys(zip(data["start"], data["lr"], strict=True)))
    rows = paired.reset_index()
    rows["place"] = [settings.index(s) for s in zip(rows["start"], rows["lr"], strict=True)]
    curve(ax, rows, "place", "gain", ls="", ms=5, **look("memory"), label=f"{MEMORY}, gain")
    ax.axhline(0, color=COLOURS["batch"], label=NO_MEMORY)
    base = paired[NO_MEMORY].groupby(["start", "lr"]).mean()
    ax.set_xticks(
        range(len(settings)),
        [f"{start}\nlr {lr}\n{NO_MEMORY}:\n{base[start, lr]:.1f}%" for start, lr in settings],
    )
    ax.margins(x=0.15)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.36), ncols=2)
    ax.set_title(f"{sets(data)}, batch 16, contrastive, {seeds(data)}")
    ax.set(ylabel="gain in R@1 (points)")
    return ax
