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
# Of the two rows of panels.
MEASURES = ("R@1", "MAP@R")


def recall_by_loss(data: pd.DataFrame) -> Figure:
    """The gain in R@1 and in MAP@R with each loss, a column per data set, beside the paper's.

    Args:
        data: tidy, one row per run and measure: data, loss, arm, updates, seed, measure, value.
    """
    data = data[data["measure"].isin(MEASURES)].assign(side=data["arm"].map(side))
    index = ["data", "loss", "updates", "measure", "seed", "side"]
    paired = data.set_index(index)["value"].unstack()
    gains = (paired[MEMORY] - paired[NO_MEMORY]).rename("gain").reset_index()
    names, losses = list(data["data"].unique()), list(data["loss"].unique())
    figure, parts = panels(len(names), 4.2, rows=len(MEASURES), sharex=True, sharey="row")
    cells = [(measure, name) for measure in MEASURES for name in names]
    for (measure, name), ax in zip(cells, parts, strict=True):
        _ours(ax, gains[(gains["data"] == name) & (gains["measure"] == measure)], losses)
        _paper(ax, name, losses, measure)
        ax.axhline(0, color=COLOURS["batch"], label=NO_MEMORY)
        ax.set_xticks(range(len(losses)), [loss_name(loss).replace("-", "-\n") for loss in losses])
        ax.margins(x=0.15)
        if name == names[0]:
            ax.set_ylabel(f"gain in {measure} (points)")
        if measure == MEASURES[0]:
            ax.set_title(f"{name} ({_counterpart(name)}), {seeds(data)}")
    letter(parts)
    legend_below(figure, parts, 2)
    return figure


def _ours(ax: Axes, gains: pd.DataFrame, losses: list[str]) -> None:
    """Our gains; those of shorter runs than the longest are hollow."""
    gains = gains.assign(place=gains["loss"].map(losses.index) - APART)
    for updates, rows in sorted(gains.groupby("updates"), reverse=True):
        style = look("memory") | ({} if updates == gains["updates"].max() else {"mfc": "white"})
        curve(ax, rows, "place", "gain", ls="", ms=5, **style,
              label=f"ours, {MEMORY}, {updates:,} updates")  # fmt: skip


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
