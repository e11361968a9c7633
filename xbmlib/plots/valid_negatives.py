"""Figures 4 and 5: the number of valid negatives, and what they look like."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from xbmlib import paper
from xbmlib.paper.arms import percent
from xbmlib.plots.image_grid import GAP, SIDE, finish, frame, show
from xbmlib.plots.style import COLOURS, PAGE, band, legend_below, panels, seeds, sets

# Parts of a training whose means are the points of Figure 4.
BINS = 40
# Source of the pairs to colour and heading, as in the paper's figure.
SOURCES = {
    "positive": ("correct", "memory's positives"),
    "batch": ("batch", "batch's negatives"),
    "memory": ("memory", "memory's negatives"),
}


def valid_negatives(data: pd.DataFrame) -> Figure:
    """Valid negatives per iteration, from the batch and from the memory.

    Args:
        data: tidy: data, step, source, negatives, seed, and of the runs, for the title: updates
            (their steps), start (that at which the memory joins) and lam (λ). The counts of a batch
            are noisy: each point is the mean over one of ``BINS`` equal parts of the training.
    """
    figure, (ax,) = panels(1, 3.4)
    # Before anything is shown, so that the margin above it is one of this scale.
    ax.set_yscale("symlog", linthresh=1)
    part = data["step"] // ((data["step"].max() + 1) / BINS)
    means = data.groupby(["source", "seed", part.rename("part")], sort=False)
    smooth = means[["step", "negatives"]].mean().reset_index()
    # Both sources and every seed at one place.
    smooth["step"] = smooth.groupby("part")["step"].transform("max")
    for source, rows in smooth.groupby("source", sort=False):
        band(ax, rows, "step", "negatives", color=COLOURS[str(source)], label=f"ours, {source}")
    stated = {"memory": paper.VALID_NEGATIVES_MEMORY, "batch": paper.VALID_NEGATIVES_BATCH}
    for source, number in stated.items():
        ax.axhline(
            number.value,
            color=COLOURS[source],
            ls=":",
            lw=1,
            label=f"paper, {source} (SOP): {number.text}",
        )
    ax.set(xlabel="iteration", ylabel="valid negatives per iteration", ylim=(0, None))
    # The batch's curve ends where a legend within the panel would be.
    legend_below(figure, [ax], 1)
    run = data.iloc[0]
    ax.set_title(
        f"{sets(data)}, batch 64, {run['updates']:,} iterations, {seeds(data)}\n"
        f"λ = {run['lam']:g}, memory of $R_M$ = {percent(1)} from iteration {run['start']:,}"
    )
    return figure


def hardest_pairs(
    data: pd.DataFrame, images: Mapping[int, Tensor], each: int = 4, *, ax: Axes | None = None
) -> Axes:
    """Each anchor in a row with its hardest pairs; a source with fewer pairs leaves places empty.

    Args:
        data: tidy, one row per pair: anchor, source, rank, id.
        images: id to (C, H, W) uint8.
        each: number of pairs per source.
        ax: the Axes to draw on; by default those of a new figure.
    """
    left = {source: 1 + GAP + i * (each + GAP) for i, source in enumerate(SOURCES)}
    width, anchors = max(left.values()) + each, list(data["anchor"].unique())
    height = GAP + len(anchors)
    if ax is None:
        ax = plt.subplots(figsize=(PAGE, PAGE * height / width))[1]
    ax.text(0, 0, "anchor", va="top", fontweight="bold")
    for source, (_, heading) in SOURCES.items():
        ax.text(left[source], 0, heading, va="top", fontweight="bold")
    for y, (anchor, rows) in enumerate(data.groupby("anchor", sort=False)):
        show(ax, 0, GAP + y, images[anchor])
        frame(ax, 0, GAP + y, "bare")
        for source in SOURCES.keys() - set(rows["source"]):
            ax.text(left[source], GAP + y + SIDE / 2, "none valid", va="center")
        for pair in rows[rows["rank"] <= each].itertuples():
            x = left[pair.source] + pair.rank - 1
            show(ax, x, GAP + y, images[pair.id])
            frame(ax, x, GAP + y, SOURCES[pair.source][0])
    return finish(ax, width, height)
