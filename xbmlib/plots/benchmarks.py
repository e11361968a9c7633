"""The cost of a loss against the memory, and the speed of other libraries."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS, axes, look

NAMES = {
    "read": "one read of the entries",
    "bare": "bare product $VM^T$",
    "triplet": "triplet",
    "multi_similarity": "multi-similarity",
    "contrastive": "contrastive",
}
# Width of the line and size of the marker of each loss, in points, in the order above: where their
# times agree, the one below shows around the one above.
NESTED = {"triplet": (4.5, 9), "multi_similarity": (2.5, 6), "contrastive": (1.0, 3)}
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
        line: dict[str, Any] = {"color": COLOURS["bare"], "ls": LIMITS.get(name), "lw": 1}
        if name in NESTED:
            width, size = NESTED[name]
            line = look(name) | {"lw": width, "ms": size}
        ax.plot(part["M"], part["ms"], **line, label=label)
    ax.set(xscale="log", yscale="log", xlabel="entries in the memory, M", ylabel="ms per step")
    ax.set_title(f"ours: batch 64, D = {data['D'].iloc[0]}, float32")
    ax.set_ylim(bottom=data["ms"].min() / 10)  # room for the legend
    ax.legend(loc="lower right")
    return ax


def speed(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many times faster ours is than each other library, as bars of the losses' colours.

    Args:
        data: one row per comparison: what, against, ratio (the other library's time / ours).
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    labels = data["what"] + "\nvs " + data["against"].str.split(" (", regex=False).str[0]
    # Recall@K, no loss, is grey.
    colours = [COLOURS[_loss(what) or "bare"] for what in data["what"]]
    bars = ax.barh(labels, data["ratio"], color=colours, height=0.6, ec="black", lw=0.5)
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


def _loss(what: str) -> str | None:
    """The loss that a measurement is named after."""
    return next((name for name in NESTED if what.startswith(NAMES[name])), None)
