"""The predicted cost of a very large memory, and predictions against measurements."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS, axes

DESIGNS = {"replicated": "batch", "sharded": "memory", "one process": "paper"}


def scaling(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Predicted time that the memory adds to a step; hollow marks where it does not fit.

    Args:
        data: entries, dtype, design, gpus, product_ms, exchange_ms, fits.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    for (design, dtype), part in data.groupby(["design", "dtype"], sort=False):
        colour, added = COLOURS[DESIGNS[design]], part["product_ms"] + part["exchange_ms"]
        ax.plot(part["entries"], added, color=colour, label=f"{design}, {dtype}",
                ls="-" if dtype == "bfloat16" else "--")  # fmt: skip
        for fits, face in ((True, colour), (False, "white")):
            at = part["fits"] == fits
            ax.plot(part["entries"][at], added[at], "o", color=colour, mfc=face)
    ax.set(
        xscale="log", yscale="log", xlabel="entries in the memory, M", ylabel="ms added per step"
    )
    ax.set_title(f"predicted for {data['gpus'].iloc[0]} GPUs; hollow: does not fit")
    ax.legend()
    return ax


def model_check(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Measured time of a step against the predicted one; on the line the two are equal.

    Args:
        data: design, dtype, ms, predicted_ms.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    for (design, dtype), part in data.groupby(["design", "dtype"], sort=False):
        colour = COLOURS[DESIGNS[design]]
        ax.plot(part["predicted_ms"], part["ms"], "o", color=colour, label=f"{design}, {dtype}",
                mfc=colour if dtype == "bfloat16" else "white")  # fmt: skip
    ends = data[["ms", "predicted_ms"]].to_numpy()
    ends = [0.7 * ends.min(), 1.4 * ends.max()]
    ax.plot(ends, ends, color=COLOURS["bare"], lw=0.7)
    ax.set(
        xscale="log", yscale="log", xlabel="ms per step, predicted", ylabel="ms per step, measured"
    )
    ax.legend()
    return ax
