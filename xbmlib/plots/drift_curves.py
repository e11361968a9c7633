"""Figure 3, and Lemma 1."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbmlib.plots.style import (
    GREY,
    OKABE_ITO,
    SHADES,
    axes,
    band,
    legend_below,
    letter,
    panels,
    seeds,
    sets,
)


def drift_curves(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """D(x, t; Δt) against t, a curve per Δt; dashed lines where the learning rate decays.

    Args:
        data: tidy: step, delta, drift, seed, decays.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    _by_delta(data, "drift", ax)
    decays = data[data["decays"] > 0].groupby("decays")["step"].min()
    for i, step in enumerate(decays):
        ax.axvline(step, color=GREY, lw=0.7, ls="--", label="lr ÷ 10" if i == 0 else None)
    ax.set(yscale="log", xlabel="iteration t", ylabel="feature drift D(x, t; Δt)")
    ax.legend(ncols=2)
    ax.set_title(f"{sets(data)}, batch 64, from scratch, {seeds(data)}")
    return ax


def lemma(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """The empirical C = error / ε of Lemma 1 against t, a curve per Δt.

    Args:
        data: tidy: step, delta, C and C_head (that of the embedding layer alone, shown
            over all Δt), seed.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    _by_delta(data, "C", ax)
    band(ax, data, "step", "C_head", color=OKABE_ITO["black"], ls="--", lw=1,
         label="embedding layer alone")  # fmt: skip
    ax.axhline(1, color=GREY, lw=0.8, ls=":", label='paper: "often less than 1"')
    ax.set(yscale="log", xlabel="iteration t", ylabel="C = gradient error / ε")
    ax.legend(ncols=2)
    ax.set_title(f"{sets(data)}, batch 64, from scratch, {seeds(data)}")
    return ax


def _by_delta(data: pd.DataFrame, y: str, ax: Axes) -> None:
    """A curve per Δt, the darker the larger it is."""
    for delta, shade in zip(sorted(data["delta"].unique()), SHADES, strict=False):
        band(ax, data[data["delta"] == delta], "step", y, color=shade, label=f"Δt = {delta}")


def drift_and_lemma(data: pd.DataFrame) -> Figure:
    """Both panels side by side."""
    figure, parts = panels(2, 2.7)
    for draw, ax in zip((drift_curves, lemma), parts, strict=True):
        draw(data, ax=ax)
        ax.set_title("")
    letter(parts)
    parts[0].set_title(f"{sets(data)}, batch 64, from scratch, {seeds(data)}")
    legend_below(figure, parts, 6)
    return figure
