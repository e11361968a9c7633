"""Figure 5: anchors with the pairs that the batch and the memory give them."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from xbmlib.plots.pictures import GAP, finish, frame, show

# Source to its colour and its heading, as in the paper's figure.
SOURCES = {
    "positive": ("right", "positives"),
    "batch": ("paper", "batch's negatives"),
    "memory": ("wrong", "memory's negatives"),
}


def mined(
    data: pd.DataFrame, pictures: Mapping[int, Tensor], each: int = 4, *, ax: Axes | None = None
) -> Axes:
    """Each anchor in a row with its hardest pairs; a source that has none leaves its place empty.

    Args:
        data: tidy, a row a pair: anchor, source, rank, id.
        pictures: id to (C, H, W) uint8.
        each: pairs of each source that are shown.
        ax: where to draw; a new figure when left out.
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
        show(ax, 0, GAP + y, pictures[anchor])
        frame(ax, 0, GAP + y, "middle")
        for pair in rows[rows["rank"] <= each].itertuples():
            x = left[pair.source] + pair.rank - 1
            show(ax, x, GAP + y, pictures[pair.id])
            frame(ax, x, GAP + y, SOURCES[pair.source][0])
    return finish(ax, width, height)
