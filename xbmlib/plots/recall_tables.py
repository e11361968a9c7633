"""Tables 3 to 5 as a figure: published methods, and ours on the data set beside them."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from xbmlib.plots.style import COLOURS, seeds

NAMES = {"none": "Cont.", "w/ M": "Cont. w/ M"}
COLOUR = {"none": COLOURS["batch"], "w/ M": COLOURS["memory"]}


def recall_table(published: pd.DataFrame, ours: pd.DataFrame) -> Figure:
    """R@1 of every row; ours in a panel and on an axis of its own, since the data differ.

    Args:
        published: tidy: method, data, measure, value (percent).
        ours: tidy, a row a run and measure: net, data, memory, seed, measure, value.
    """
    measure = [m for m in published["measure"].unique() if m.endswith("R@1")][-1]
    theirs = published[(published["measure"] == measure) & published["value"].notna()]
    mine = ours[ours["measure"] == "R@1"]
    rows = mine.groupby(["net", "memory"]).ngroups + 1
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(3.5, 0.9 + 0.16 * (len(theirs) + rows)), height_ratios=[len(theirs), rows]
    )
    own = theirs["method"].str.startswith("Cont.")
    faces = [COLOURS["paper"] if o else "none" for o in own]
    top.scatter(theirs["value"], theirs["method"], s=14, color=COLOURS["paper"],
                marker="^", facecolors=faces)  # fmt: skip
    top.set_title(f"paper: {theirs['data'].iloc[0]}, {measure} (%)")
    for (net, memory), part in mine.groupby(["net", "memory"], sort=False):
        bottom.errorbar(part["value"].mean(), f"{NAMES[str(memory)]}, {net}",
                        xerr=part["value"].std(), fmt="o", color=COLOUR[str(memory)])  # fmt: skip
    # With test lists the plain R@1 is that of the largest, leave-one-out.
    lists = ours["measure"].str.startswith("large ").any()
    which = "large, leave-one-out R@1" if lists else "R@1"
    bottom.set_title(f"ours: {mine['data'].iloc[0]}, {which} (%), {seeds(mine)}")
    for ax in (top, bottom):
        ax.invert_yaxis()
        ax.tick_params(axis="y", labelsize=5.5)
        ax.margins(y=0.06 if ax is top else 0.6)
    return figure
