"""Table 2: what a gain of R@1 costs in time."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS, axes


def gain_by_time(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Table 2: the gain of R@1 against the time it takes.

    Args:
        data: source, setting, time (a multiple of the first setting's), gain (points), spread.
        ax: where to draw; a new figure when left out.
    """
    ax = axes(ax)
    for (source, part), marker in zip(
        data.dropna(subset="gain").groupby("source", sort=False), "^o", strict=False
    ):
        colour = COLOURS["paper" if source.startswith("paper") else "memory"]
        ax.errorbar(part["time"], part["gain"], part["spread"], fmt=marker, color=colour,
                    mfc="none" if marker == "^" else colour, label=source)  # fmt: skip
        for i, row in enumerate(part.iloc[1:].itertuples()):
            name = row.setting.replace("batch 64, R_M", "$R_M$")
            ax.annotate(name, (row.time, row.gain), xytext=(4, 3 - 11 * (i == 1)),
                        textcoords="offset points", fontsize=5.5, color=colour)  # fmt: skip
    ax.set(
        xlabel="time, times that of batch 64 (paper: hours; ours: an image)",
        ylabel="gain of R@1 (points)",
    )
    ax.set_title("at the origin: batch 64 without memory")
    ax.margins(x=0.25, y=0.15)
    ax.legend()
    return ax
