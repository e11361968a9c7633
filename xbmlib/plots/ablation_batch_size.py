"""Figure 1, left and middle, and Figure 6."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbmlib import paper
from xbmlib.paper.arms import NO_MEMORY, arm, label, loss_name
from xbmlib.plots.style import axes, curve, legend_below, letter, look, panels, seeds

NAMES = {"pk": "PK batches", "shuffle": "shuffled batches"}


def by_loss(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 1, left: R@1 against the batch size for each loss, with no memory.

    Args:
        data: tidy, one row per run: data, loss, ratio, sampler, batch, seed, R@1.
        ax: the Axes to draw on; by default those of a new figure.
    """
    part = data[(data["data"] == _first(data)) & (data["ratio"] == 0) & (data["sampler"] == "pk")]
    return _curves(part, "loss", f"{_first(data)}, {NO_MEMORY}", ax)


def by_data(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 1, middle: the same with the contrastive loss for each data set; arguments as above."""
    part = data[(data["loss"] == "contrastive") & (data["ratio"] == 0) & (data["sampler"] == "pk")]
    return _curves(part, "data", f"contrastive, {NO_MEMORY}", ax)


def by_sampler(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 6: both arms, each with PK and with shuffled batches; arguments as above."""
    ax = axes(ax)
    part = data[(data["loss"] == "contrastive") & (data["data"] == _first(data))]
    for (ratio, sampler), rows in part.groupby(["ratio", "sampler"]):
        curve(ax, rows, "batch", "R@1", **look("memory" if ratio else "batch"),
              ls="-" if sampler == "pk" else ":",
              label=f"{label(arm(float(ratio)))}, {NAMES[str(sampler)]}")  # fmt: skip
    for stated, batch in ((paper.SOP_R1_BATCH_16_MEMORY, 16), (paper.SOP_R1_BATCH_256, 256)):
        ax.plot(batch, stated.value, ls="", **look("paper"),
                label="paper (SOP)" if batch == 16 else None)  # fmt: skip
    return _finish(ax, part, f"{_first(data)}, contrastive")


def batch_size(data: pd.DataFrame) -> Figure:
    """The three panels side by side."""
    figure, parts = panels(3, 2.9, sharey=True)
    for draw, ax in zip((by_loss, by_data, by_sampler), parts, strict=True):
        draw(data, ax=ax)
        ax.label_outer(remove_inner_ticks=True)
    letter(parts)
    legend_below(figure, parts, 3)
    return figure


def _first(data: pd.DataFrame) -> str:
    """The data set of the panels that show a single one."""
    return str(data["data"].iloc[0])


def _curves(data: pd.DataFrame, by: str, title: str, ax: Axes | None) -> Axes:
    ax = axes(ax)
    for name, rows in data.groupby(by, sort=False):
        curve(ax, rows, "batch", "R@1", **look(str(name)), label=loss_name(str(name)))
    return _finish(ax, data, title)


def _finish(ax: Axes, data: pd.DataFrame, title: str) -> Axes:
    sizes: Sequence[int] = sorted(data["batch"].unique())
    ax.set(xscale="log", xlabel="mini-batch size m", ylabel="R@1 (%)")
    ax.set_title(f"{title}, {seeds(data)}")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    ax.legend()
    return ax
