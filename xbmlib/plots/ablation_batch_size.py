"""Figure 1, left and middle, and Figure 6."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbmlib import paper
from xbmlib.plots.style import COLOURS, axes, seeds

NAMES = {"pk": "PK", "shuffle": "random"}


def by_loss(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 1, left: R@1 against the batch size for each loss, without memory.

    Args:
        data: tidy, a row a run: data, loss, ratio, sampler, batch, seed, R@1.
        ax: where to draw; a new figure when left out.
    """
    part = data[(data["data"] == _first(data)) & (data["ratio"] == 0) & (data["sampler"] == "pk")]
    return _curves(part, "loss", f"{_first(data)}, no memory", ax)


def by_data(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 1, middle: the same for each data set, contrastive loss; arguments as above."""
    part = data[(data["loss"] == "contrastive") & (data["ratio"] == 0) & (data["sampler"] == "pk")]
    return _curves(part, "data", "contrastive, no memory", ax)


def by_sampler(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 6: with and without memory, PK and random batches; arguments as above."""
    ax = axes(ax)
    part = data[(data["loss"] == "contrastive") & (data["data"] == _first(data))]
    for (ratio, sampler), curve in part.groupby(["ratio", "sampler"]):
        what = f"$R_M$ = {ratio:g}" if ratio else "no memory"
        sns.lineplot(
            curve, x="batch", y="R@1", ax=ax, errorbar="sd", marker="o",
            color=COLOURS["memory" if ratio else "batch"], ls="-" if sampler == "pk" else ":",
            label=f"{what}, {NAMES[str(sampler)]}",
        )  # fmt: skip
    for stated, batch in ((paper.SOP_R1_BATCH_16_MEMORY, 16), (paper.SOP_R1_BATCH_256, 256)):
        ax.plot(batch, stated.value, "^", color=COLOURS["paper"], mfc="none",
                label="paper (SOP)" if batch == 16 else None)  # fmt: skip
    return _finish(ax, part, f"{_first(data)}, contrastive")


def batch_size(data: pd.DataFrame) -> Figure:
    """The three panels beside each other."""
    figure, panels = plt.subplots(1, 3, figsize=(7.2, 2.9))
    for draw, ax in zip((by_loss, by_data, by_sampler), panels, strict=True):
        draw(data, ax=ax)
    return figure


def _first(data: pd.DataFrame) -> str:
    """The data set of the panels of one."""
    return str(data["data"].iloc[0])


def _curves(data: pd.DataFrame, by: str, title: str, ax: Axes | None) -> Axes:
    ax = axes(ax)
    for name, curve in data.groupby(by, sort=False):
        sns.lineplot(
            curve, x="batch", y="R@1", ax=ax, color=COLOURS[str(name)], marker="o",
            errorbar="sd", label=str(name).replace("_", "-"),
        )  # fmt: skip
    return _finish(ax, data, title)


def _finish(ax: Axes, data: pd.DataFrame, title: str) -> Axes:
    sizes: Sequence[int] = sorted(data["batch"].unique())
    ax.set(xscale="log", xlabel="mini-batch size m", ylabel="R@1 (%)")
    ax.set_title(f"ours: {title}, {seeds(data)}", fontsize=6.5)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=1)
    return ax
