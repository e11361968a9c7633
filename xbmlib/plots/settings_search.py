"""The trials of the search for the settings of each arm."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from xbmlib.paper.arms import NO_MEMORY, label, side
from xbmlib.plots.style import ARMS, COLOURS, legend_below, letter, look, panels

LINES = (":", "--", "-")
# Of the forms of the memory other than the grid's.
HOLLOW = ("<", "d", "*")


def trials(data: pd.DataFrame, margin: str, default: str, *, y: str = "MAP@R") -> Figure:
    """Each trial against its learning rate, a line per arm and margin, one panel per data set.

    Shown is the measure minus that of the best trial with no memory on the same data set, in
    points, on one scale: the ring of the no-memory arm is at 0, that of the other at the gain of
    the best settings. Hollow marks are the other forms of the memory; a ring is the best trial of
    its arm.

    Args:
        data: as :func:`xbmlib.study.figures.settings_search.frame`; each data set has a trial with
            no memory.
        margin: symbol of the margin.
        default: the form of the memory in the grid.
        y: the measure, in percent on the validation classes.
    """
    names = list(dict.fromkeys(data["data"]))
    # The legend of a single panel has room for one column.
    figure, grid = panels(len(names), 3.4 if len(names) > 1 else 3.6, sharey=True)
    lines = dict(zip(sorted(data["margin"].unique()), LINES, strict=False))
    others = [form for form in data["form"].dropna().unique() if form != default]
    for ax, name in zip(grid, names, strict=True):
        of_set = data[data["data"] == name]
        none = of_set[of_set["arm"] == NO_MEMORY]
        of_set = of_set.assign(change=of_set[y] - none[y].max())
        ax.axhline(0, color=COLOURS["bare"], lw=0.7)
        for arm, part in of_set.groupby("arm", sort=False):
            style = look(ARMS[side(str(arm))])
            grid_form = part["form"].isna() | (part["form"] == default)
            for value, line in lines.items():
                found = part[(part["margin"] == value) & grid_form].sort_values("lr")
                if len(found):
                    ax.plot(found["lr"], found["change"], **style, ls=line,
                            label=f"{label(str(arm))}, {margin} = {value:g}")  # fmt: skip
            for form, mark in zip(others, HOLLOW, strict=False):
                found = part[part["form"] == form]
                if len(found):
                    hollow = style | {"marker": mark, "mfc": "white", "ls": ""}
                    ax.plot(found["lr"], found["change"], **hollow, label=f"memory, {form}")
            top = part.loc[part[y].idxmax()]
            ax.scatter(top["lr"], top["change"], 100, facecolors="none", edgecolors="black", lw=0.8,
                       label="best of its arm")  # fmt: skip
        title = f"{name}, 1 seed" + ("" if of_set["finished"].all() else " (not finished)")
        ax.set(xscale="log", xlabel="learning rate, $10^{-4}$", title=title)
        ax.minorticks_off()
        ax.margins(0.1)
        # The trials between those of the grid have one arm and one margin each.
        tried = of_set.groupby("lr").size()
        rates = tried.index[tried > 1]
        ax.set_xticks(sorted(rates), [f"{1e4 * rate:g}" for rate in sorted(rates)])
    grid[0].set_ylabel(
        f"{y} minus that of the best trial with\n{NO_MEMORY} (points, validation classes)"
    )
    letter(grid)
    legend_below(figure, grid, 2 if len(names) > 1 else 1)
    return figure
