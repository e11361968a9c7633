"""One look for all figures: column width, print sizes, colour-blind-safe, fixed colours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

# Okabe and Ito's palette, extended. One thing has one colour in all figures.
COLOURS = {
    "memory": "#0072B2",
    "batch": "#D55E00",
    "paper": "#6F6F6F",
    "short": "#009E73",
    "middle": "#E69F00",
    "long": "#CC79A7",
    "contrastive": "#56B4E9",
    "multi_similarity": "#8C564B",
    "triplet": "#B8A800",
    "bare": "#000000",
    "correct": "#117733",
    "incorrect": "#AA4499",
    "hanzi": "#44AA99",
    "emoji": "#882255",
    "hangul": "#999933",
}
COLOURS |= {"sop": COLOURS["hanzi"], "inshop": COLOURS["emoji"], "vehicleid": COLOURS["hangul"]}

_RC: Any = {
    "figure.figsize": (3.5, 2.6),
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "savefig.bbox": "tight",
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 6.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
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
    """The given Axes, or those of a new figure."""
    if ax is not None:
        return ax
    return plt.subplots()[1]
