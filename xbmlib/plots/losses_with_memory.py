"""Table 1 as a figure: the gain of the memory with each loss, the paper's and ours."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbmlib import paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY, loss_name, side
from xbmlib.plots.style import (
    COLOURS,
    curve,
    legend_below,
    letter,
    look,
    panels,
    seeds,
)

# Ours stands to the left of the paper's value by this share of the distance of two losses.
APART = 0.12


def recall_by_loss(data: pd.DataFrame, measure: str = "R@1") -> Figure:
    """The gain in points with each loss, one panel per data set, beside the paper's.

    Args:
        data: tidy, one row per run and measure: data, loss, arm, seed, measure, value.
        measure: the measure to plot.
    """
    data = data[data["measure"] == measure].assign(side=data["arm"].map(side))
    paired = data.set_index(["data", "loss", "seed", "side"])["value"].unstack()
    gains = (paired[MEMORY] - paired[NO_MEMORY]).rename("gain").reset_index()
    names, losses = list(data["data"].unique()), list(data["loss"].unique())
    figure, parts = panels(len(names), 2.5, sharey=True)
    for name, ax in zip(names, parts, strict=True):
        rows = gains[gains["data"] == name]
        rows = rows.assign(place=rows["loss"].map(losses.index) - APART)
        curve(ax, rows, "place", "gain", ls="", ms=5, **look("memory"),
              label=f"ours, {MEMORY} ($R_M$ as searched)")  # fmt: skip
        _paper(ax, name, losses, measure)
        ax.axhline(0, color=COLOURS["batch"], label=NO_MEMORY)
        ax.set_xticks(range(len(losses)), [loss_name(loss).replace("-", "-\n") for loss in losses])
        ax.margins(x=0.15)
        ax.set_title(f"{name} ({_counterpart(name)}), {seeds(data)}")
    parts[0].set_ylabel(f"gain in {measure} (points)")
    letter(parts)
    legend_below(figure, parts, 3)
    return figure


def _counterpart(name: str) -> str:
    """The paper's data set that a data set stands for."""
    (theirs,) = (pair[1] for ours, pair in paper.COUNTERPARTS.items() if name in (ours, *pair))
    return theirs


def _paper(ax: Axes, name: str, losses: list[str], measure: str) -> None:
    """The gains of Table 1 on the data set that this one stands for."""
    theirs = _counterpart(name)
    for loss in losses:
        arms = [paper.LOSSES.get((theirs, loss, arm), {}) for arm in (NO_MEMORY, MEMORY)]
        # VehicleID has one R@1 per test list; ours is that of the large one.
        before, after = (arm.get(measure, arm.get(f"large {measure}")) for arm in arms)
        if before is not None and after is not None:
            ax.plot(losses.index(loss) + APART, after - before, ls="", ms=5, **look("paper"),
                    label="paper (Table 1)")  # fmt: skip
