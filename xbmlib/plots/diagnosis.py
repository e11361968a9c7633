"""What a diagnosis sees of two runs: similarities, share of valid negatives, drift."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from xbmlib.plots.style import COLOURS, legend_below, letter, panels

# A run that is warned of and one that is not, in this order.
_COLOURS = (COLOURS["batch"], COLOURS["memory"])
_PANELS = {
    "batch_similarity": "mean similarity of\nthe batch's negatives",
    "valid_share": "share of the memory's\nnegatives that are valid",
    "drift": "drift $D(x, t; \\Delta t)$ of\nimages still in the memory",
}


def checks(data: pd.DataFrame, thresholds: dict[str, float], warned: int | None) -> Figure:
    """One panel per quantity against the step, one line per arm.

    Args:
        data: columns arm, step, batch_similarity, valid_share and drift; one row per check. The
            arm that comes first is the one that is warned of.
        thresholds: by column, drawn as a dotted line.
        warned: step of the warning, drawn as a vertical line; None for none.
    """
    figure, axes = panels(len(_PANELS), 2.3, sharex=True)
    for ax, (column, title) in zip(axes, _PANELS.items(), strict=True):
        for colour, (arm, rows) in zip(_COLOURS, data.groupby("arm", sort=False), strict=False):
            known = rows.dropna(subset=[column])
            ax.plot(known["step"], known[column], color=colour, label=arm)
        if column in thresholds:
            ax.axhline(thresholds[column], color=COLOURS["bare"], linestyle=":", linewidth=0.8)
        if warned is not None:
            ax.axvline(warned, color=_COLOURS[0], linestyle="--", linewidth=0.8, label="warning")
        ax.set(title=title, xlabel="step")
    letter(axes)
    legend_below(figure, axes, 3)
    return figure
