"""The memory's gain against the length of training."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS, axes, seeds, sets

LABELS = {"none": "no memory", "w/ M": "w/ memory"}


def updates(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """R@1 without and with memory against the number of updates.

    Args:
        data: tidy, a row a run: data, updates, memory, seed, R@1.
        ax: where to draw; a new figure when left out.
    """
    ax = axes(ax)
    for memory, colour in (("none", "batch"), ("w/ M", "memory")):
        sns.lineplot(
            data[data["memory"] == memory], x="updates", y="R@1", ax=ax, color=COLOURS[colour],
            marker="o" if memory == "none" else "s", errorbar="sd", label=LABELS[memory],
        )  # fmt: skip
    lengths = sorted(data["updates"].unique())
    ax.set(xscale="log", xlabel="updates", ylabel="R@1 (%)")
    ax.set_xticks(lengths, [f"{n:,}" for n in lengths])
    ax.minorticks_off()
    ax.set_title(f"ours: {sets(data)}, batch 64, contrastive, {seeds(data)}")
    ax.legend(title=None)
    return ax
