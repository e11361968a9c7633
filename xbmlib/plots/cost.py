"""Table 2: what a larger batch and the memory gain, and what they cost."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xbmlib.paper.arms import NO_MEMORY, label
from xbmlib.plots.style import ARMS, COLOURS, MARKERS, letter, panels

# Column of the table to the label of its panel's axis.
PANELS = {
    "gain": "R@1 minus that at batch 64,\nno memory (points)",
    "time": "time per step, relative to batch 64,\nno memory (paper: of the training)",
    "extra_gb": "peak memory beyond batch 64,\nno memory (GB)",
}
# Values of a row lie on lines of their own, spread over this share of its height.
SPREAD = 0.6
# Markers of ours by device, filled for the network that is trained. Rows and colours tell the arms,
# which stand in the legend as strokes without a marker.
DEVICES = {"CPU": "8", "GPU": "d"}


def costs(data: pd.DataFrame) -> Figure:
    """One row per setting of Table 2; panels of gain, time and peak memory, as PANELS names them.

    Args:
        data: source ("paper (…)" or "ours (net, device)"), setting, gain (points; NaN where not
            trained), spread (standard deviation of the gain), time (as a multiple of the first
            setting's), extra_gb (beyond the first setting's).
    """
    figure, parts = panels(len(PANELS), 2.9, sharey=True)
    settings = list(data["setting"].unique())
    sources = list(data["source"].unique())
    step = SPREAD / max(len(sources) - 1, 1)
    trained = {_network(source) for source in data.loc[data["gain"].notna(), "source"]}
    marks = {source: _mark(source, filled=_network(source) in trained) for source in sources}
    for i, (source, mark) in enumerate(marks.items()):
        for row in data[data["source"] == source].to_dict("records"):
            y = settings.index(row["setting"]) + i * step - SPREAD / 2
            arm = "batch" if row["setting"].endswith(NO_MEMORY) else "memory"
            colour = COLOURS["paper" if _is_printed(source) else arm]
            for ax, column in zip(parts, PANELS, strict=True):
                error = row["spread"] if column == "gain" else None
                ax.errorbar(row[column], y, xerr=error, color=colour, **mark)
    gain, time, memory = parts
    gain.axvline(0, color=COLOURS["bare"], lw=0.7)
    time.axvline(1, color=COLOURS["bare"], lw=0.7)
    time.set_xscale("log", base=2)
    time.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    time.minorticks_off()
    # Linear up to a megabyte, so that the reference, 0, has its place.
    memory.set_xscale("symlog", linthresh=1e-3)
    memory.set_xlim(left=-5e-4)
    memory.set_xticks([0, 1e-2, 1, 1e2], ["0", "0.01", "1", "100"])
    memory.minorticks_off()
    gain.set_yticks(range(len(settings)), [label(s).replace(", ", ",\n") for s in settings])
    gain.invert_yaxis()
    for ax, text in zip(parts, PANELS.values(), strict=True):
        ax.set(xlabel=text)
    letter(parts)
    handles = [
        Line2D([], [], color=COLOURS["paper"], label=source, **mark)
        for source, mark in marks.items()
    ]
    handles += [
        Line2D([], [], color=COLOURS[key], lw=4, label=f"ours, {arm}") for arm, key in ARMS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _is_printed(source: str) -> bool:
    return source.startswith("paper")


def _network(source: str) -> str:
    """Such as "ours (compact" of "ours (compact, CPU)"."""
    return source.rpartition(", ")[0]


def _mark(source: str, filled: bool) -> dict[str, Any]:
    """The marker of a source, whatever its colour."""
    if _is_printed(source):
        return {"ls": "", "marker": MARKERS["paper"], "fillstyle": "none"}
    device = source.removesuffix(")").rpartition(", ")[2]
    return {"ls": "", "marker": DEVICES[device], "fillstyle": "full" if filled else "none"}
