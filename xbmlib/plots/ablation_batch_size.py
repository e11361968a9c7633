"""Figure 1, left and middle, and Figure 6."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xbmlib import paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY, arm, label, loss_name
from xbmlib.plots.style import (
    COLOURS,
    MARKERS,
    axes,
    curve,
    legend_below,
    letter,
    look,
    panels,
    seeds,
)

NAMES = {"pk": "PK batches", "shuffle": "shuffled batches"}
LOSS = "contrastive"
_NONE_NAME = f"paper (SOP), {LOSS}, {NO_MEMORY}"
# R@1 on SOP as printed, by batch size: of Table 2, and of Section 4.3.
_NONE = {64: paper.RATIO_R1_BATCH_64[0.0].value, 256: paper.SOP_R1_BATCH_256.value}
_MEMORY = {16: paper.SOP_R1_BATCH_16_MEMORY.value, 64: paper.RATIO_R1_BATCH_64[1.0].value}
# At batch 16 with no memory the text prints the distance to batch 256.
_BASE = paper.SOP_R1_BATCH_256.value - paper.SOP_GAIN_16_TO_256.value


def by_data(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 1, middle: each data set, contrastive, no memory; R@1 minus its own at batch 16.

    Args:
        data: tidy, one row per run: data, loss, ratio, sampler, batch, seed, updates, R@1; the
            first data set has both arms.
        ax: the Axes to draw on; by default those of a new figure.
    """
    ax = axes(ax)
    part = data[(data["ratio"] == 0) & (data["sampler"] == "pk")]
    for name, rows in part.groupby("data", sort=False):
        curve(ax, _above(rows, rows), "batch", "change", **look(str(name)), label=str(name))
    _paper(ax, _NONE, "batch", _NONE_NAME)
    return _finish(ax, part, f"{LOSS}, {NO_MEMORY}")


def by_arm(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 6: both arms with PK batches; R@1 minus that at batch 16 with no memory.

    The arguments are those of :func:`by_data`.
    """
    ax = _arms(data, {"pk": ""}, axes(ax))
    _paper(ax, _NONE, "batch", _NONE_NAME)
    _paper(ax, _MEMORY, "memory", f"paper (SOP), {LOSS}, {MEMORY}")
    return ax


def by_loss(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 1, left: each loss with no memory; R@1 minus that of the contrastive loss at batch 16.

    The arguments are those of :func:`by_data`.
    """
    ax = axes(ax)
    part = data[(data["data"] == _first(data)) & (data["ratio"] == 0) & (data["sampler"] == "pk")]
    part = _above(part, part[part["loss"] == LOSS])
    for name, rows in part.groupby("loss", sort=False):
        curve(ax, rows, "batch", "change", **look(str(name)), label=loss_name(str(name)))
    return _finish(ax, part, f"{_first(data)}, {NO_MEMORY}")


def by_sampler(data: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 6: both arms with PK and shuffled batches; R@1 minus that at batch 16, PK, no memory.

    The arguments are those of :func:`by_data`.
    """
    ax = _arms(data, {sampler: f", {name}" for sampler, name in NAMES.items()}, axes(ax))
    ax.set_ylabel("R@1 minus that at batch 16,\nPK batches, no memory (points)")
    return ax


def batch_size(data: pd.DataFrame) -> Figure:
    """Data sets and arms side by side, at an equal number of updates.

    The arguments are those of :func:`by_data`.
    """
    equal = f"{data['updates'].max():,} updates each"
    figure = _side_by_side(data, (by_data, by_arm), equal, sharey=True)
    figure.axes[1].set_ylabel("")
    return figure


def losses_and_samplers(data: pd.DataFrame, equal: str) -> Figure:
    """Losses and samplers side by side.

    Args:
        data: as for :func:`by_data`.
        equal: what the points have in common, such as "at an equal number of updates".
    """
    return _side_by_side(data, (by_loss, by_sampler), equal.removeprefix("at an "))


def _side_by_side(
    data: pd.DataFrame, draws: Sequence[Callable[..., Axes]], equal: str, **options: bool
) -> Figure:
    """Two panels above their one legend; options as of :func:`panels`."""
    figure, parts = panels(len(draws), 3.3, **options)
    for draw, ax in zip(draws, parts, strict=True):
        draw(data, ax=ax)
        ax.set_xlabel(f"{ax.get_xlabel()},\n{equal}")
    letter(parts)
    legend_below(figure, parts, 3)
    return figure


def _arms(data: pd.DataFrame, samplers: dict[str, str], ax: Axes) -> Axes:
    """Both arms of the contrastive loss on the first data set with some samplers.

    Args:
        data: as for :func:`by_data`.
        samplers: each to what the names of its curves end with.
        ax: the Axes to draw on.
    """
    part = data[(data["loss"] == LOSS) & (data["data"] == _first(data))]
    part = _above(part, part[(part["ratio"] == 0) & (part["sampler"] == "pk")])
    for (ratio, sampler), rows in part.groupby(["ratio", "sampler"]):
        if sampler in samplers:
            curve(ax, rows, "batch", "change", **look("memory" if ratio else "batch"),
                  ls="-" if sampler == "pk" else ":",
                  label=f"{label(arm(float(ratio)))}{samplers[str(sampler)]}")  # fmt: skip
    return _finish(ax, part, f"{_first(data)}, {LOSS}")


def _first(data: pd.DataFrame) -> str:
    """The data set of the panels that show a single one."""
    return str(data["data"].iloc[0])


def _above(data: pd.DataFrame, base: pd.DataFrame) -> pd.DataFrame:
    """The rows with "change": R@1 minus that of the base at its smallest batch, by seed."""
    at = base[base["batch"] == base["batch"].min()].set_index("seed")["R@1"]
    return data.assign(change=data["R@1"] - data["seed"].map(at))


def _paper(ax: Axes, r1: dict[int, float], key: str, name: str) -> None:
    """The paper's values on SOP above its own at batch 16; of Fig. 1 and 6 no other is printed."""
    changes = [value - _BASE for value in r1.values()]
    ax.plot(list(r1), changes, MARKERS[key], mfc="white", color=COLOURS["paper"], label=name)


def _finish(ax: Axes, data: pd.DataFrame, title: str) -> Axes:
    sizes: Sequence[int] = sorted(data["batch"].unique())
    ax.axhline(0, color=COLOURS["bare"], lw=0.7)
    ax.set(
        xscale="log",
        xlabel=f"mini-batch size m ({seeds(data)})",
        ylabel="R@1 minus that at batch 16,\ncontrastive, no memory (points)",
    )
    ax.set_title(title)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    ax.legend()
    return ax
