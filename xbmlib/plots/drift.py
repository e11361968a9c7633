"""Figure 3."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS, axes, seeds


def drift_curves(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """D(x, t; Δt) against t, a curve for each Δt; dashed lines where the rate decays.

    Args:
        data: tidy: step, delta, drift, seed, decays.
        ax: where to draw; a new figure when left out.
    """
    ax = axes(ax)
    deltas = sorted(data["delta"].unique())
    colours = dict(zip(deltas, (COLOURS[c] for c in ("short", "middle", "long")), strict=False))
    sns.lineplot(
        data,
        x="step",
        y="drift",
        hue="delta",
        palette=colours,
        errorbar="sd",
        ax=ax,
        legend=False,
    )
    for delta in deltas:
        ax.plot([], [], color=colours[delta], label=f"Δt = {delta}")
    decays = data[data["decays"] > 0].groupby("decays")["step"].min()
    for i, step in enumerate(decays):
        ax.axvline(step, color="0.4", lw=0.7, ls="--", label="lr ÷ 10" if i == 0 else None)
    ax.set(yscale="log", xlabel="iteration t", ylabel="feature drift D(x, t; Δt)")
    ax.legend(ncols=2)
    ax.set_title(f"ours: hanzi, batch 64, from scratch, {seeds(data)}")
    return ax
