"""Figure 3, and Lemma 1."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbmlib.plots.style import COLOURS, axes, seeds, sets


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
        ax.axvline(step, color="0.4", lw=0.7, ls="--", label="lr ÷ 10" if i == 0 else None)
    ax.set(yscale="log", xlabel="iteration t", ylabel="feature drift D(x, t; Δt)")
    ax.legend(ncols=2)
    ax.set_title(f"ours: {sets(data)}, batch 64, from scratch, {seeds(data)}")
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
    sns.lineplot(data, x="step", y="C_head", color=COLOURS["bare"], ls="--", lw=1, errorbar="sd",
                 ax=ax, label="embedding layer alone")  # fmt: skip
    ax.axhline(1, color=COLOURS["paper"], lw=0.8, ls=":", label='paper: "often less than 1"')
    ax.set(yscale="log", xlabel="iteration t", ylabel="C = gradient error / ε")
    ax.legend(ncols=2)
    ax.set_title(f"ours: {sets(data)}, batch 64, from scratch, {seeds(data)}")
    return ax


def _by_delta(data: pd.DataFrame, y: str, ax: Axes) -> None:
    """A curve per Δt, in the same colours in every panel."""
    deltas = sorted(data["delta"].unique())
    colours = dict(zip(deltas, (COLOURS[c] for c in ("short", "middle", "long")), strict=False))
    sns.lineplot(
        data, x="step", y=y, hue="delta", palette=colours, errorbar="sd", ax=ax, legend=False
    )
    for delta in deltas:
        ax.plot([], [], color=colours[delta], label=f"Δt = {delta}")


def drift_and_lemma(data: pd.DataFrame) -> Figure:
    """Both panels side by side."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.6))
    drift_curves(data, ax=left)
    lemma(data, ax=right)
    return figure
