"""Tables 3 to 5 as a figure: the published methods, and ours on the counterpart of their data."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from xbmlib import paper
from xbmlib.paper.arms import NO_MEMORY, label
from xbmlib.plots.style import COLOURS, COLUMN, MARKERS, letter, look, seeds


def recall_table(published: pd.DataFrame, ours: pd.DataFrame) -> Figure:
    """R@1 of every row; ours in a second panel with another axis, since the data differ.

    Args:
        published: tidy: method, data, measure, value (percent).
        ours: tidy, one row per run and measure: net, data, arm, seed, measure, value.
    """
    measure = paper.first_measure(published["data"].iloc[0])
    theirs = published[(published["measure"] == measure) & published["value"].notna()]
    mine = ours[ours["measure"] == "R@1"]
    rows = mine.groupby(["net", "arm"]).ngroups + 1
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(COLUMN, 1.1 + 0.16 * (len(theirs) + rows)), height_ratios=[len(theirs), rows]
    )
    contrastive = theirs["method"].str.startswith("Cont.")
    faces = [COLOURS["paper"] if filled else "none" for filled in contrastive]
    top.scatter(theirs["value"], theirs["method"], s=14, color=COLOURS["paper"],
                marker=MARKERS["paper"], facecolors=faces)  # fmt: skip
    top.set_xlabel(f"paper: {theirs['data'].iloc[0]}, {measure} (%)", loc="right")
    for (net, arm), part in mine.groupby(["net", "arm"], sort=False):
        bottom.errorbar(part["value"].mean(), f"Cont., {label(str(arm))}, {net}", ls="",
                        xerr=part["value"].std(), elinewidth=0.8,
                        **look("batch" if arm == NO_MEMORY else "memory"))  # fmt: skip
    # On VehicleID's test lists the plain R@1 is that of the largest, leave-one-out.
    lists = ours["measure"].str.startswith("large ").any()
    which = "large, leave-one-out R@1" if lists else "R@1"
    bottom.set_xlabel(f"ours: {mine['data'].iloc[0]}, {which} (%), {seeds(mine)}", loc="right")
    letter((top, bottom))
    for ax in (top, bottom):
        ax.invert_yaxis()
        ax.tick_params(axis="y", labelsize=6)
        ax.margins(y=0.06 if ax is top else 0.6)
    return figure
