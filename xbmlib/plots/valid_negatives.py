"""Figures 4 and 5: the number of valid negatives, and what they look like."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from xbmlib import paper
from xbmlib.plots.image_grid import GAP, finish, frame, show
from xbmlib.plots.style import COLOURS, axes, seeds, sets

# Source of the pairs to colour and heading, as in the paper's figure.
SOURCES = {
    "positive": ("correct", "positives"),
    "batch": ("paper", "batch's negatives"),
    "memory": ("incorrect", "memory's negatives"),
}


def valid_negatives(data: pd.DataFrame, *, window: int = 25, ax: Axes | None = None) -> Axes:
    """Valid negatives per iteration, from the batch and from the memory.

    Args:
        data: tidy: step, source, negatives, seed.
        window: number of logged iterations that a point averages; the counts of a batch are noisy.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    smooth = data.sort_values("step").copy()
    smooth["negatives"] = smooth.groupby(["source", "seed"])["negatives"].transform(
        lambda s: s.rolling(window, min_periods=1).mean()
    )
    sns.lineplot(
        smooth, x="step", y="negatives", hue="source", palette=COLOURS, errorbar="sd", ax=ax
    )
    stated = {"memory": paper.VALID_NEGATIVES_MEMORY, "batch": paper.VALID_NEGATIVES_BATCH}
    for source, number in stated.items():
        ax.axhline(
            number.value,
            color=COLOURS[source],
            ls=":",
            lw=1,
            label=f"paper, {source} (SOP): {number.text}",
        )
    ax.set_yscale("symlog", linthresh=1)
    ax.set(xlabel="iteration", ylabel="valid negatives per iteration", ylim=(0, None))
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles, [f"ours, {t}" if t in stated else t for t in labels], title=None)
    ax.set_title(f"ours: {sets(data)}, batch 64, R_M = 1, {seeds(data)}")
    return ax


def valid_negatives_by_length(data: pd.DataFrame) -> Figure:
    """Valid negatives per iteration, one panel per length of training.

    Args:
        data: as for :func:`valid_negatives`, and updates (steps of the run).
    """
    lengths = sorted(data["updates"].unique())
    width = 3.6 * len(lengths)
    figure, panels = plt.subplots(1, len(lengths), figsize=(width, 2.8), squeeze=False)
    for updates, ax in zip(lengths, panels[0], strict=True):
        valid_negatives(data[data["updates"] == updates], ax=ax)
        if ax is not panels[0][0]:
            ax.legend().remove()
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
        ax = plt.subplots(figsize=(0.5 * width, 0.5 * height))[1]
    ax.text(0, 0, "anchor", va="top", fontweight="bold")
    for source, (_, heading) in SOURCES.items():
        ax.text(left[source], 0, heading, va="top", fontweight="bold")
    for y, (anchor, rows) in enumerate(data.groupby("anchor", sort=False)):
        show(ax, 0, GAP + y, images[anchor])
        frame(ax, 0, GAP + y, "middle")
        for pair in rows[rows["rank"] <= each].itertuples():
            x = left[pair.source] + pair.rank - 1
            show(ax, x, GAP + y, images[pair.id])
            frame(ax, x, GAP + y, SOURCES[pair.source][0])
    return finish(ax, width, height)
