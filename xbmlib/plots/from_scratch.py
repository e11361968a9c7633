"""R@1 by start and learning rate."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from xbmlib.paper.arms import NO_MEMORY, label
from xbmlib.plots.style import COLOURS, axes, seeds, sets


def r1_by_start(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """R@1 of both arms, for each start and learning rate.

    Args:
        data: tidy, one row per run: data, start, lr, arm, seed, R@1.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    data = data.assign(setting=data["start"] + "\nlr " + data["lr"], arm=data["arm"].map(label))
    palette = {
        arm: COLOURS["batch" if arm == NO_MEMORY else "memory"] for arm in data["arm"].unique()
    }
    sns.pointplot(
        data, x="setting", y="R@1", hue="arm", palette=palette, ax=ax,
        linestyle="none", dodge=0.2, errorbar="sd", markersize=5,
    )  # fmt: skip
    ax.legend(title=None)
    ax.set_title(f"ours: {sets(data)}, batch 16, contrastive, {seeds(data)}")
    ax.set(xlabel=None, ylabel="R@1 (%)", ylim=(0, 100))
    return ax
