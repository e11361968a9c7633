"""The gain of the memory against the length of training."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.paper.arms import NO_MEMORY, label, loss_name
from xbmlib.plots.style import axes, curve, look, seeds, sets


def r1_by_updates(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """R@1 of both arms against the number of updates.

    Args:
        data: tidy, one row per run: data, batch, loss, updates, arm, seed, R@1; of one batch size
            and loss. Without rows the Axes say so.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    if data.empty:
        ax.text(0.5, 0.5, "no such runs", ha="center", transform=ax.transAxes)
        return ax
    for arm, rows in data.groupby("arm", sort=False):
        key = "batch" if arm == NO_MEMORY else "memory"
        curve(ax, rows, "updates", "R@1", **look(key), label=label(str(arm)))
    lengths = sorted(data["updates"].unique())
    ax.set(xscale="log", xlabel="updates", ylabel="R@1 (%)")
    ax.set_xticks(lengths, [f"{n:,}" for n in lengths])
    ax.minorticks_off()
    batch, loss = data[["batch", "loss"]].iloc[0]
    ax.set_title(f"{sets(data)}, batch {batch}, {loss_name(loss)}, {seeds(data)}")
    ax.legend(title=None)
    return ax
