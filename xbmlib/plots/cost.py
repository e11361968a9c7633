"""Table 2: the time that a gain of R@1 costs."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.paper.arms import NO_MEMORY, label
from xbmlib.plots.style import COLOURS, axes


def gain_by_time(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """The gain of R@1 against the time of training, both relative to batch 64 with no memory.

    Args:
        data: source, setting, time (as a multiple of the first setting's), gain (points), spread
            (standard deviation of the gain).
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    for (source, part), marker in zip(
        data.dropna(subset="gain").groupby("source", sort=False), "^o", strict=False
    ):
        colour = COLOURS["paper" if source.startswith("paper") else "memory"]
        ax.errorbar(part["time"], part["gain"], part["spread"], fmt=marker, color=colour,
                    mfc="none" if marker == "^" else colour, label=source)  # fmt: skip
        for i, row in enumerate(part.iloc[1:].itertuples()):
            name = label(row.setting.removeprefix("batch 64, "))
            ax.annotate(name, (row.time, row.gain), xytext=(4, 3 - 11 * (i == 1)),
                        textcoords="offset points", fontsize=5.5, color=colour)  # fmt: skip
    ax.set(
        xlabel="time, relative to batch 64 (paper: training; ours: per image)",
        ylabel="gain of R@1 (points)",
    )
    ax.set_title(f"reference: batch 64, {NO_MEMORY}")
    ax.margins(x=0.25, y=0.15)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return ax
