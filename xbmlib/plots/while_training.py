"""R@1 while training."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from xbmlib.paper.arms import NO_MEMORY, arm, label
from xbmlib.plots.style import COLOURS, curve, legend_below, letter, look, panels, seeds


def while_training(data: pd.DataFrame, batch: int, *, y: str = "R@1") -> Figure:
    """R@1 at each evaluation against the number of updates, one panel per data set, on one scale.

    Shown is R@1 minus the mean R@1 with no memory at the last evaluation of the same data set, in
    points: data sets of different levels can be compared, and at the last evaluation the arm with
    memory stands at its gain.

    Args:
        data: tidy, one row per evaluation: data, arm, ratio, updates, seed and ``y`` in percent;
            each data set has rows of ratio 0.
        batch: m, for the titles.
        y: the measure to plot.
    """
    names = list(data["data"].unique())
    figure, parts = panels(len(names), 2.4, sharey=True)
    for name, ax in zip(names, parts, strict=True):
        of_set = data[data["data"] == name]
        of_set = of_set.assign(change=of_set[y] - _end(of_set, y))
        ax.axhline(0, color=COLOURS["bare"], lw=0.7)
        for ratio, rows in of_set.groupby("ratio"):
            style = look("memory" if ratio else "batch")
            curve(ax, rows, "updates", "change", **style, label=label(arm(float(ratio))))
        ax.set(xlabel="updates", title=f"{name}, batch {batch}, {seeds(of_set)}")
        ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 4, 10]))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    parts[0].set_ylabel(f"{y} minus that with {NO_MEMORY}\nat the last evaluation (points)")
    letter(parts)
    legend_below(figure, parts, 2)
    return figure


def _end(of_set: pd.DataFrame, y: str) -> float:
    """The mean over the seeds with no memory at the last evaluation."""
    none = of_set[of_set["ratio"] == 0]
    return float(none.loc[none["updates"] == none["updates"].max(), y].mean())
