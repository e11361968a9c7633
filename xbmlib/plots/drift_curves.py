"""Figure 3, and Lemma 1."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbmlib.paper.arms import network_name
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

ITERATION = "iteration t, from scratch"


def drift_curves(data: pd.DataFrame, deltas: Sequence[int] = (), *, ax: Axes | None = None) -> Axes:
    """D(x, t; Δt) against t, a curve per Δt; dashed lines where the learning rate decays.

    Args:
        data: tidy: backbone, data, step, delta, drift, seed, decays.
        deltas: the Δt that have a shade, as in another panel; all of the data's by default. Those
            of the data that are none of them are dash-dotted.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    _by_delta(data, "drift", ax, deltas)
    decays = data[data["decays"] > 0].groupby("decays")["step"].min()
    for i, step in enumerate(decays):
        ax.axvline(step, color=GREY, lw=0.7, ls="--", label="lr ÷ 10" if i == 0 else None)
    ax.set(yscale="log", xlabel=ITERATION, ylabel="feature drift D(x, t; Δt)")
    ax.set_title(f"{network_name(data['backbone'].iloc[0])}, {sets(data)}, {seeds(data)}")
    ax.legend(ncols=2)
    return ax


def lemma(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """The empirical C of Lemma 1, the gradient's squared error over ε, against t.

    Args:
        data: tidy: backbone, data, step, delta, C (a curve per Δt) and C_head (that of the
            embedding layer alone, one dashed curve over all Δt), seed.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    _by_delta(data, "C", ax)
    head = data.groupby(["step", "seed"], as_index=False)["C_head"].mean()
    band(ax, head, "step", "C_head", color=OKABE_ITO["black"], ls="--", lw=1,
         label="C of the embedding layer (solid: of all parameters)")  # fmt: skip
    ax.axhline(1, color=GREY, lw=0.8, ls=":", label='paper: C "often less than 1"')
    ax.set(yscale="log", xlabel=ITERATION, ylabel="C (squared gradient error / ε)")
    ax.set_title(f"{network_name(data['backbone'].iloc[0])}, {sets(data)}, {seeds(data)}")
    ax.legend(ncols=2)
    return ax


def _by_delta(data: pd.DataFrame, y: str, ax: Axes, deltas: Sequence[int] = ()) -> None:
    """A curve per Δt, the darker the larger it is; of ``deltas``, if they are given.

    A Δt beyond them is dash-dotted in the lightest shade.
    """
    present = {int(delta) for delta in data["delta"].unique()}
    looks: dict[int, dict[str, str]] = {
        delta: {"color": shade}
        for delta, shade in zip(sorted(deltas or present), SHADES, strict=False)
    }
    looks |= {delta: {"color": SHADES[0], "ls": "-."} for delta in sorted(present - set(looks))}
    for delta, line in looks.items():
        if len(part := data[data["delta"] == delta]):
            band(ax, part, "step", y, **line, label=f"Δt = {delta}")


def drift_and_lemma(data: pd.DataFrame) -> Figure:
    """The drift of each network side by side, on one scale, and C of the first of them.

    Args:
        data: tidy, as for the two panels; in those of further networks a Δt of the first has the
            shade that it has there.
    """
    networks = [part for _, part in data.groupby("backbone", sort=False)]
    main = networks[0]
    deltas = [int(delta) for delta in main["delta"].unique()]
    figure, parts = panels(len(networks) + 1, 2.7)
    for part, ax in zip(networks, parts, strict=False):
        # Shared before anything is shown, so that the range is that of all panels.
        if ax is not parts[0]:
            ax.sharey(parts[0])
        drift_curves(part, deltas, ax=ax)
        if ax is not parts[0]:
            ax.set_ylabel("")
    lemma(main, ax=parts[-1])
    letter(parts)
    legend_below(figure, parts, 4)
    return figure
