"""What a diagnosis sees of two runs: similarities, share of valid negatives, drift."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from xbmlib.plots.style import GREY, OKABE_ITO, legend_below, letter, panels

# A run that is warned of and one that is not, in this order: both have a memory, so that neither
# has the colour of an arm.
_LINES = ((OKABE_ITO["black"], "-"), (GREY, "--"))
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
        thresholds: by column, each a dotted line.
        warned: step of the warning, a vertical line; None for none.
    """
    figure, axes = panels(len(_PANELS), 2.3, sharex=True)
    for ax, (column, title) in zip(axes, _PANELS.items(), strict=True):
        for (colour, line), (arm, rows) in zip(
            _LINES, data.groupby("arm", sort=False), strict=False
        ):
            known = rows.dropna(subset=[column])
            ax.plot(known["step"], known[column], color=colour, ls=line, label=arm)
        if column in thresholds:
            ax.axhline(thresholds[column], color=GREY, ls=":", lw=0.8, label="threshold")
        if warned is not None:
            ax.axvline(warned, color=_LINES[0][0], ls="-.", lw=0.8, label="warning")
        ax.set(title=title, xlabel="step")
    letter(axes)
    legend_below(figure, axes, 4)
    return figure
