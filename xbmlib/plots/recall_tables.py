"""Tables 1 and 3 to 5 as a figure: both arms, ours and the paper's, and the best earlier method."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from xbmlib import paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY, label, side
from xbmlib.plots.style import ARMS, COLOURS, COLUMN, MARKERS, legend_below, look, seeds

# Each arm stands this far from the middle of its row, with memory above: a gain may be smaller than
# a mark.
APART = 0.1


def recall_table(data: pd.DataFrame) -> Axes:
    """R@1 of both arms in a row, ours and the paper's, with the gain; the best earlier method last.

    Args:
        data: tidy: source ("ours", "Table 1" or, of the published methods, such as "Table 3"),
            method, data, arm (empty for an earlier method), measure, seed, value (percent).
    """
    theirs = data[data["source"] == "Table 1"]
    (name,) = theirs["data"].unique()
    measure = paper.first_measure(name)
    ours = data[data["source"] == "ours"]
    # On the test lists of VehicleID the plain R@1 is that of the largest.
    own = measure if measure in set(ours["measure"]) else "R@1"
    ours, theirs = ours[ours["measure"] == own], theirs[theirs["measure"] == measure]
    others = data[(data["arm"] == "") & (data["measure"] == measure)]
    best = others.nlargest(1, "value").iloc[0]
    nets = list(ours["method"].unique())
    figure, ax = plt.subplots(figsize=(COLUMN, 1.1 + 0.36 * (len(nets) + 2)))
    ticks: list[str] = []
    for net in nets:
        rows = ours[ours["method"] == net]
        _arms(ax, len(ticks), rows, "ours")
        ticks.append(f"ours, {rows['data'].iloc[0]}\n{net} network")
    _arms(ax, len(ticks), theirs, "paper")
    ticks.append(f"paper, {name}\n{theirs['method'].iloc[0]} (Table 1)")
    ax.plot(best["value"], len(ticks), ls="", label="best earlier method", **look("paper"))
    ticks.append(f"best earlier method, {name}\n{best['method']}")
    ax.set_yticks(range(len(ticks)), ticks)
    ax.set_ylim(len(ticks) - 0.5, -0.7)
    ax.set(xlabel=f"{measure} (%), ours: {seeds(ours)}", ylabel=None)
    legend_below(figure, [ax], 2)
    return ax


def _arms(ax: Axes, y: int, rows: pd.DataFrame, source: str) -> None:
    """Both arms of a network in one row, joined by a line, and the gain above them."""
    by_arm = rows.groupby(rows["arm"].map(side))["value"]
    spelt = {side(arm): label(arm) for arm in rows["arm"]}
    before, after = (by_arm.get_group(arm) for arm in (NO_MEMORY, MEMORY))
    low, high = before.mean(), after.mean()
    ax.plot([low, high], [y + APART, y - APART], color=COLOURS["bare"], lw=0.8, zorder=1)
    for arm, values, place in ((NO_MEMORY, before, y + APART), (MEMORY, after, y - APART)):
        ax.errorbar(values.mean(), place, xerr=values.std() if len(values) > 1 else None, ls="",
                    elinewidth=0.8, label=f"{source}, {spelt[arm]}",
                    **_look(arm, source))  # fmt: skip
    ax.text((low + high) / 2, y - 0.24, f"{high - low:+.1f}", ha="center", va="bottom")


def _look(arm: str, source: str) -> dict[str, Any]:
    """The arm's own look; of the paper its marker in grey, hollow."""
    if source == "ours":
        return look(ARMS[arm])
    return look("paper") | {"marker": MARKERS[ARMS[arm]]}
