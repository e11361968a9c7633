"""The predicted cost of a very large memory, and predictions against measurements."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from xbmlib.plots.style import GREY, SHADES, axes

# Designs are neither arms, losses nor data sets: greys, and markers that none of these has.
DESIGNS: dict[str, dict[str, Any]] = {
    "replicated": {"color": SHADES[0], "marker": "d"},
    "sharded": {"color": SHADES[2], "marker": "p"},
    "one process": {"color": SHADES[1], "marker": "*"},
}


def scaling(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Predicted time that the memory adds to a step; hollow marks where it does not fit.

    Args:
        data: entries, dtype, design, gpus, product_ms, exchange_ms, fits.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    for (design, dtype), part in data.groupby(["design", "dtype"], sort=False):
        look, added = DESIGNS[design], part["product_ms"] + part["exchange_ms"]
        ax.plot(part["entries"], added, **look, label=f"{design}, {dtype}",
                ls="-" if dtype == "bfloat16" else "--")  # fmt: skip
        out = ~part["fits"]
        ax.plot(part["entries"][out], added[out], ls="", **look, mfc="white")
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
        look = DESIGNS[design]
        ax.plot(part["predicted_ms"], part["ms"], ls="", **look, label=f"{design}, {dtype}",
                mfc=look["color"] if dtype == "bfloat16" else "white")  # fmt: skip
    ends = data[["ms", "predicted_ms"]].to_numpy()
    ends = [0.7 * ends.min(), 1.4 * ends.max()]
    ax.plot(ends, ends, color=GREY, lw=0.7)
    ax.set(
        xscale="log", yscale="log", xlabel="ms per step, predicted", ylabel="ms per step, measured"
    )
    ax.legend()
    return ax
