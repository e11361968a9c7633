"""What a loss against the memory costs, and how peers fare."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS, axes

NAMES = {
    "bare": "bare product $VM^T$",
    "contrastive": "contrastive",
    "multi_similarity": "multi-similarity",
    "triplet": "triplet",
}


def cost_by_size(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Milliseconds of a step (enqueue, loss, gradient) against the size of the memory.

    Args:
        data: tidy: M, D, loss ("bare" for the product alone), ms.
        ax: where to draw; a new figure when left out.
    """
    ax = axes(ax)
    for name, label in NAMES.items():
        part = data[data["loss"] == name]
        dashed = name == "bare"
        ax.plot(part["M"], part["ms"], color=COLOURS[name], label=label, marker=".",
                ls="--" if dashed else "-", lw=1, ms=3)  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="entries in the memory, M", ylabel="ms a step")
    ax.set_title(f"ours: batch 64, D = {data['D'].iloc[0]}, float32")
    ax.legend()
    return ax


def speed(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many times faster than each peer, as bars.

    Args:
        data: a row a comparison: what, against, ratio (peer's time / ours).
        ax: where to draw; a new figure when left out.
    """
    ax = axes(ax)
    labels = data["what"] + "\nvs " + data["against"].str.split(" (", regex=False).str[0]
    bars = ax.barh(labels, data["ratio"], color=COLOURS["memory"], height=0.6)
    ax.bar_label(bars, fmt=" %.1f×", fontsize=6)
    ax.axvline(1, color=COLOURS["bare"], lw=0.7)
    ax.invert_yaxis()
    ax.tick_params(axis="y", labelsize=5.5)
    ax.set(xscale="log", xlabel="times faster than the peer", xlim=(0.8, 3 * data["ratio"].max()))
    return ax
