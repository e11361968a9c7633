"""Queries with the images that are retrieved for them."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from xbmlib.paper.arms import label
from xbmlib.plots.image_grid import GAP, SIDE, finish, frame, show
from xbmlib.plots.style import COLOURS, COLUMN

# Height of the headings of the columns, two lines, in units of the grid.
HEAD = 0.85


def retrieved(
    data: pd.DataFrame,
    images: Mapping[tuple[str, str, int], Tensor],
    shares: pd.DataFrame | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Each query of one data set in a row, with the images retrieved in both arms.

    Correct images have a solid green frame and a tick, incorrect ones a dashed purple frame and a
    cross.

    Args:
        data: tidy, one row per retrieved image: data, kind, arm, query, rank, neighbour, correct.
            The rows of each kind are adjacent and share a heading.
        images: (data, "query" or "neighbour", id) to (C, H, W) uint8.
        shares: the kinds' shares of the queries in percent, a row per seed, for the headings.
        ax: the Axes to draw on; by default those of a new figure.
    """
    (name,) = data["data"].unique()
    top, arms = int(data["rank"].max()), list(data["arm"].unique())
    left = {arm: 1 + GAP + i * (top + GAP) for i, arm in enumerate(arms)}
    blocks = list(data.groupby("kind", sort=False))
    width = max(left.values()) + top
    height = data["query"].nunique() + HEAD + GAP * len(blocks)
    if ax is None:
        ax = plt.subplots(figsize=(COLUMN, COLUMN * height / width))[1]
    for x, text in ((0, f"query\n({name})"), *((left[arm], label(arm)) for arm in arms)):
        ax.text(x, 0, text, va="top", fontweight="bold")
    y = HEAD
    for kind, block in blocks:
        ax.text(0, y, f"{kind}{_share(shares, str(kind))}", va="top", color=COLOURS["paper"])
        y += GAP
        for query, row in block.groupby("query", sort=False):
            show(ax, 0, y, images[name, "query", query])
            for found in row.itertuples():
                x = left[found.arm] + found.rank - 1
                show(ax, x, y, images[name, "neighbour", found.neighbour])
                _frame(ax, x, y, found.correct)
            y += 1
    return finish(ax, width, y)


def _share(shares: pd.DataFrame | None, kind: str) -> str:
    """Such as ": 5.2 ± 0.3% of the queries (n=3)"; nothing where no shares are given."""
    if shares is None:
        return ""
    values = shares[kind]
    spread = f" ± {values.std():.1f}" if len(values) > 1 else ""
    return f": {values.mean():.1f}{spread}% of the queries (n={len(values)})"


def _frame(ax: Axes, x: float, y: float, correct: bool) -> None:
    colour, line, mark = ("correct", "-", "✓") if correct else ("incorrect", (0, (2, 1)), "✗")
    frame(ax, x, y, colour, line)
    ax.text(
        x + SIDE, y, mark, ha="center", va="center", size=6, color="white", zorder=4,
        bbox={"boxstyle": "circle,pad=0.15", "fc": COLOURS[colour], "ec": "none"},
    )  # fmt: skip
