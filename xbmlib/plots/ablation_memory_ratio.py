"""Figure 1, right."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from xbmlib import paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY
from xbmlib.plots.style import COLOURS, axes, seeds, sets


def memory_ratio(data: pd.DataFrame, *, y: str = "R@1", ax: Axes | None = None) -> Axes:
    """Recall against R_M on a logarithmic axis, with the baselines with no memory as lines.

    Args:
        data: tidy, one row per run: batch, ratio, seed and ``y`` in percent.
        y: the measure to plot.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    base = data[(data["ratio"] == 0) & (data["batch"] == 16)][y]
    larger = data[data["batch"] == 64][y]
    points = data[data["ratio"] > 0]
    if len(points):
        sns.lineplot(
            points,
            x="ratio",
            y=y,
            color=COLOURS["memory"],
            marker="o",
            errorbar="sd",
            ax=ax,
            label=f"ours, {MEMORY} ({sets(data)}, batch 16, {seeds(data)})",
        )
    ax.axhline(
        base.mean(),
        color=COLOURS["batch"],
        label=f"ours, {NO_MEMORY} ({sets(data)}, batch 16, {seeds(data)})",
    )
    if len(larger):
        ax.axhline(
            larger.mean(),
            color=COLOURS["batch"],
            ls="--",
            lw=1,
            label=f"ours, {NO_MEMORY} ({sets(data)}, batch 64, {seeds(data)})",
        )
    if len(base) > 1:
        ax.axhspan(
            base.mean() - base.std(),
            base.mean() + base.std(),
            color=COLOURS["batch"],
            alpha=0.15,
            lw=0,
        )
    if y == "R@1":
        _paper(ax)
    ax.set(xscale="log", xlabel="memory ratio $R_M$ = M / N", ylabel=f"{y} (%)")
    # Below the axes, since the paper's lines and ours leave no free corner.
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.26), ncols=1)
    return ax


def _paper(ax: Axes) -> None:
    """The values that the paper's text prints; the curves of Fig. 1 carry none."""
    groups = (
        (
            "In-shop, batch 16",
            "s",
            {ratio: stated for (_, ratio), stated in paper.RATIO_R1.items()},
        ),
        ("SOP, batch 64", "^", paper.RATIO_R1_BATCH_64),
    )
    for name, marker, values in groups:
        label: str | None = f"paper, {name}"
        for ratio, stated in values.items():
            if ratio == 0:
                ax.axhline(stated.value, color=COLOURS["paper"], lw=0.7, ls=":")
                ax.annotate(
                    f"paper, {name}, {NO_MEMORY}",
                    (1, stated.value),
                    ha="right",
                    va="bottom",
                    xycoords=("axes fraction", "data"),
                    fontsize=5.5,
                    color=COLOURS["paper"],
                )
            else:
                ax.plot(
                    ratio, stated.value, marker, color=COLOURS["paper"], mfc="none", label=label
                )
                label = None
