"""Figure 1, right: the gain of the memory against R_M."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbmlib import paper
from xbmlib.paper.arms import NO_MEMORY, arm, label, percent
from xbmlib.plots.style import (
    COLOURS,
    MARKERS,
    axes,
    curve,
    legend_below,
    look,
    panels,
    seeds,
)

# Marks of ours of one R_M stand side by side, each at this many times the R_M of the one before, so
# that none hides another; the paper's stand so many places to the left.
APART, PAPER = 1.08, 2.5


def memory_ratio(data: pd.DataFrame, *, y: str = "R@1") -> Figure:
    """The gain of the memory in points against R_M, ours and the paper's, on a logarithmic axis.

    Args:
        data: tidy, one row per run: data, batch, ratio, seed and ``y`` in percent.
        y: the measure to plot.
    """
    figure, (ax,) = panels(1, 2.8)
    base = data[data["ratio"] == 0].groupby(["data", "seed"])[y].mean()
    # Paired by seed: both arms have the same batches and initial weights.
    gains = data.assign(gain=data[y] - _of(data, base))
    names = list(data["data"].unique())
    for place, name in enumerate(names):
        key = "memory" if len(names) == 1 else name
        points = gains[(gains["data"] == name) & (gains["ratio"] > 0)]
        points = points.assign(ratio=points["ratio"] * APART ** (place - (len(names) - 1) / 2))
        if len(points):
            text = f"ours, {name}, {seeds(points)}"
            curve(ax, points, "ratio", "gain", **look(key), label=text)
    ax.axhline(0, color=COLOURS["batch"], label=f"{NO_MEMORY} (gain 0)")
    if y == "R@1":
        _paper(ax)
    apart = "\n(marks of one $R_M$ are set apart)" if len(names) > 1 else ""
    ax.set(
        xscale="log", xlabel=f"memory ratio $R_M$ = M / N{apart}", ylabel=f"gain in {y} (points)"
    )
    ax.set_title(f"contrastive loss, ours at batch {data['batch'].iloc[0]}")
    ratios = sorted(data.loc[data["ratio"] > 0, "ratio"].unique())
    ax.set_xticks(ratios, [percent(ratio) for ratio in ratios])
    ax.minorticks_off()
    # Below the axes, since the paper's values and ours leave no free corner.
    legend_below(figure, [ax], 2)
    return figure


def recall_at_each_k(
    data: pd.DataFrame, name: str, ratio: float, *, ax: Axes | None = None
) -> Axes:
    """R@K against K at the smallest batch: with no memory, and with one of R_M.

    Args:
        data: as for :func:`memory_ratio`, with a column for each R@K.
        name: of the data set.
        ratio: R_M.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    rows = data[data["data"] == name]
    rows = rows.dropna(axis="columns", how="all")
    ks = {c: int(c.removeprefix("R@")) for c in rows.columns if c.startswith("R@")}
    long = rows.melt(["ratio", "seed"], list(ks), "measure", "recall")
    long["K"] = long["measure"].map(ks)
    for one, key in ((0.0, "batch"), (ratio, "memory")):
        part = long[long["ratio"] == one]
        curve(ax, part, "K", "recall", **look(key), label=f"{label(arm(one))}, {seeds(part)}")
    ax.set(xscale="log", xlabel="K", ylabel="R@K (%)", title=f"{name}, batch 16, contrastive")
    ax.set_xticks(list(ks.values()), [str(k) for k in ks.values()])
    ax.minorticks_off()
    ax.legend()
    return ax


def _of(data: pd.DataFrame, base: pd.Series) -> pd.Series:
    """For each row the base of its data set and seed; NaN where there is none."""
    keys = pd.MultiIndex.from_frame(data[["data", "seed"]])
    return pd.Series(base.reindex(keys).to_numpy(), data.index)


def _paper(ax: Axes) -> None:
    """The gains that the paper's text prints; the curves of Fig. 1 carry no values."""
    in_shop = {ratio: stated.value for (_, ratio), stated in paper.RATIO_R1.items()}
    sop = {ratio: stated.value for ratio, stated in paper.RATIO_R1_BATCH_64.items()}
    ax.axhline(paper.GAIN_BATCH_16.value, color=COLOURS["paper"], ls=":",
               label=f"paper, batch 16, 3 sets: over {paper.GAIN_BATCH_16.value:g}")  # fmt: skip
    for name, batch, values in (("In-shop", 16, in_shop), ("SOP", 64, sop)):
        gains = {ratio: value - values[0.0] for ratio, value in values.items() if ratio}
        # Above ours and hollow, so that either is seen where they meet.
        places = [ratio / APART**PAPER for ratio in gains]
        ax.plot(places, list(gains.values()), MARKERS[name], mfc="none", zorder=5,
                color=COLOURS["paper"], label=f"paper, batch {batch}, {name}")  # fmt: skip
