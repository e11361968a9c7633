"""One look for all figures: print sizes, and one colour and marker for each thing that is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from xbmlib import paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY

# Widths in print, in inches: one column, 85 mm, and the page, 175 mm.
COLUMN, PAGE = 85 / 25.4, 175 / 25.4

# Okabe and Ito (2008), distinct to the colour-blind too.
OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky blue": "#56B4E9",
    "bluish green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "reddish purple": "#CC79A7",
}
# Colours belong to arms, data sets and losses. What is none of these, or not ours, is grey; what is
# ordered, such as Δt, is a darker grey the larger it is.
GREY = "#6F6F6F"
SHADES = ("#A8A8A8", GREY, OKABE_ITO["black"])

# One thing has one colour and one marker in all figures.
COLOURS = {
    "batch": OKABE_ITO["vermilion"],  # no memory: the negatives are the batch's
    "memory": OKABE_ITO["blue"],
    "hanzi": OKABE_ITO["bluish green"],
    "emoji": OKABE_ITO["orange"],
    "hangul": OKABE_ITO["reddish purple"],
    "contrastive": OKABE_ITO["sky blue"],
    "multi_similarity": OKABE_ITO["black"],
    "triplet": OKABE_ITO["yellow"],
    "correct": OKABE_ITO["bluish green"],
    "incorrect": OKABE_ITO["reddish purple"],
    "paper": GREY,
    "bare": GREY,
}
MARKERS = {
    "batch": "o",
    "memory": "s",
    "paper": "^",
    "hanzi": "D",
    "emoji": "v",
    "hangul": "P",
    "contrastive": ">",
    "multi_similarity": "X",
    "triplet": "h",
}
# The two arms, by :func:`xbmlib.paper.arms.side`, to their keys above.
ARMS = {NO_MEMORY: "batch", MEMORY: "memory"}
# A data set of the paper looks like the one that stands in its place, under both of its names.
for _look in (COLOURS, MARKERS):
    _look |= {name: _look[ours] for ours, names in paper.COUNTERPARTS.items() for name in names}

_RC: Any = {
    "figure.figsize": (COLUMN, 2.4),
    "figure.dpi": 150,
    "savefig.dpi": 300,
    # Of the figure's own size: trimmed to its ink it would have another width.
    "savefig.bbox": "standard",
    "figure.constrained_layout.use": True,
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "legend.fontsize": 6.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "svg.fonttype": "none",
    # With a fixed salt for its ids, the same data give the same SVG.
    "svg.hashsalt": "xbm-study",
}


@contextmanager
def style() -> Iterator[None]:
    """Context manager within which figures are made and saved."""
    # A notebook's backend starts with the first figure and turns interactive mode on, which leaving
    # the context would turn off again: no later figure of the kernel would be shown.
    plt.switch_backend(mpl.get_backend())
    with mpl.rc_context(_RC):
        yield


def seeds(data: pd.DataFrame) -> str:
    """The number of seeds of a figure, in words."""
    n = data["seed"].nunique()
    return f"{n} seed{'s' if n > 1 else ''}"


def sets(data: pd.DataFrame) -> str:
    """The data sets of a figure, separated by commas."""
    return ", ".join(dict.fromkeys(data["data"]))


def axes(ax: Axes | None) -> Axes:
    """The given Axes, or those of a new figure, one column wide."""
    if ax is not None:
        return ax
    return plt.subplots()[1]


def panels(
    number: int, height: float, *, rows: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of panels a, b, c side by side: of the page's width, or of a column's if single.

    Args:
        number: of panels in a row.
        height: of the figure, in inches.
        rows: of panels.
        options: of ``plt.subplots``.

    Returns:
        The figure and its panels, row by row.
    """
    width = PAGE if number > 1 else COLUMN
    figure, grid = plt.subplots(rows, number, figsize=(width, height), squeeze=False, **options)
    return figure, list(grid.flat)


def letter(axes: Sequence[Axes]) -> None:
    """Letter the panels of a figure a, b, c, ahead of their titles."""
    if len(axes) > 1:
        for ax, name in zip(axes, "abcdefgh", strict=False):
            ax.set_title(name, loc="left", fontweight="bold")


def look(key: str) -> dict[str, Any]:
    """Colour and marker of an arm, a data set or a loss, as arguments of ``Axes.plot``.

    The paper's marks are hollow. Yellow, too light for print on its own, has a dark edge.
    """
    colour = COLOURS[key]
    found: dict[str, Any] = {"color": colour, "marker": MARKERS[key], "mec": colour}
    if key == "paper":
        found["mfc"] = "white"
    if colour == OKABE_ITO["yellow"]:
        found |= {"mec": OKABE_ITO["black"], "mew": 0.5}
        found["path_effects"] = [Stroke(linewidth=1.9, foreground=GREY), Normal()]
    return found


def spread(data: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Mean and standard deviation of ``y`` over the seeds, by ``x``; of one seed it is 0."""
    return data.groupby(x, sort=True)[y].agg(["mean", "std"]).fillna({"std": 0.0})


def curve(ax: Axes, data: pd.DataFrame, x: str, y: str, **line: Any) -> None:
    """The mean over the seeds against ``x``, with a bar of the standard deviation at each point."""
    at = spread(data, x, y)
    ax.errorbar(at.index, at["mean"], yerr=at["std"], elinewidth=0.8, **line)


def band(ax: Axes, data: pd.DataFrame, x: str, y: str, **line: Any) -> None:
    """The same for many points: a line without marks, the standard deviation as a band."""
    at = spread(data, x, y)
    ax.plot(at.index, at["mean"], **line)
    ax.fill_between(at.index, at["mean"] - at["std"], at["mean"] + at["std"],
                    color=line["color"], alpha=0.2, lw=0)  # fmt: skip


def legend_below(figure: Figure, axes: Sequence[Axes], columns: int) -> None:
    """The one legend of a figure, in place of its panels' own: each label once, below them."""
    entries: dict[str, Artist] = {}
    for ax in axes:
        if (own := ax.get_legend()) is not None:
            own.remove()
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns)
