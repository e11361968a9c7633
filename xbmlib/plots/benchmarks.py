"""The cost of a loss against the memory, and the speed of other libraries."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS, axes, look

NAMES = {
    "read": "one read of the entries",
    "bare": "bare product $VM^T$",
    "contrastive": "contrastive",
    "multi_similarity": "multi-similarity",
    "triplet": "triplet",
}
# Line styles of what a step is compared with: its limit, and the product that PyTorch offers.
LIMITS = {"read": ":", "bare": "--"}


def cost_by_size(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Milliseconds per step (enqueue, loss, gradient) against the size of the memory.

    Args:
        data: tidy: M, D, loss ("bare" for the matrix product alone, "read" for reading the entries
            once, the limit that the memory's bandwidth sets), ms.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    for name, label in NAMES.items():
        part = data[data["loss"] == name]
        line = {"color": COLOURS["bare"], "ls": LIMITS[name]} if name in LIMITS else look(name)
        ax.plot(part["M"], part["ms"], **line, label=label, lw=1)
    ax.set(xscale="log", yscale="log", xlabel="entries in the memory, M", ylabel="ms per step")
    ax.set_title(f"ours: batch 64, D = {data['D'].iloc[0]}, float32")
    ax.set_ylim(bottom=data["ms"].min() / 10)  # room for the legend
    ax.legend(loc="lower right")
    return ax


def speed(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many times faster ours is than each other library, as bars.

    Args:
        data: one row per comparison: what, against, ratio (the other library's time / ours).
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    labels = data["what"] + "\nvs " + data["against"].str.split(" (", regex=False).str[0]
    bars = ax.barh(labels, data["ratio"], color=COLOURS["memory"], height=0.6)
    ax.bar_label(bars, fmt=" %.1f×", fontsize=6)
    ax.axvline(1, color=COLOURS["bare"], lw=0.7)
    ax.invert_yaxis()
    ax.tick_params(axis="y", labelsize=6)
    ax.set_xlabel("times faster than the other library", loc="right")
    ax.set(
        xscale="log",
        xlim=(0.8, 3 * data["ratio"].max()),
    )
    return ax
