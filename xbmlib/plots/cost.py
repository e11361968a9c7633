"""Table 2: what a larger batch and the memory gain, and what they cost."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xbmlib.paper.arms import NO_MEMORY, label
from xbmlib.plots.style import COLOURS

# Column of the table to the label of its panel's axis.
PANELS = {
    "gain": "gain in R@1 (points)",
    "time": "time, relative to batch 64",
    "extra_gb": "memory beyond batch 64 (GB)",
}
# Values of a row lie on lines of their own, spread over this share of its height.
SPREAD = 0.6


def costs(data: pd.DataFrame) -> Figure:
    """One row per setting of Table 2; panels of gain, time and peak memory, as PANELS names them.

    Args:
        data: source ("paper (…)" or "ours (net, device)"), setting, gain (points; NaN where not
            trained), spread (standard deviation of the gain), time (as a multiple of the first
            setting's), extra_gb (beyond the first setting's).
    """
    figure, panels = plt.subplots(1, len(PANELS), figsize=(6.7, 2.8), sharey=True)
    settings = list(data["setting"].unique())
    sources = list(data["source"].unique())
    step = SPREAD / max(len(sources) - 1, 1)
    for i, (source, look) in enumerate(_looks(sources).items()):
        for row in data[data["source"] == source].to_dict("records"):
            y = settings.index(row["setting"]) + i * step - SPREAD / 2
            ours = "batch" if row["setting"].endswith(NO_MEMORY) else "memory"
            colour = "paper" if source.startswith("paper") else ours
            for ax, column in zip(panels, PANELS, strict=True):
                error = row["spread"] if column == "gain" else None
                ax.errorbar(row[column], y, xerr=error, **_marker(look, colour))
    gain, time, memory = panels
    gain.axvline(0, color=COLOURS["bare"], lw=0.7)
    time.axvline(1, color=COLOURS["bare"], lw=0.7)
    # Linear up to a megabyte, so that the reference, 0, has its place.
    memory.set_xscale("symlog", linthresh=1e-3)
    memory.set_xlim(left=-5e-4)
    memory.set_xticks([0, 1e-2, 1, 1e2], ["0", "0.01", "1", "100"])
    memory.minorticks_off()
    gain.set_yticks(range(len(settings)), [label(s).replace(", ", ",\n") for s in settings])
    gain.invert_yaxis()
    for ax, letter, text in zip(panels, "abc", PANELS.values(), strict=True):
        ax.set(xlabel=text)
        ax.set_title(letter, loc="left", fontweight="bold")
    handles = [
        Line2D([], [], **_marker(look, "bare"), label=source)
        for source, look in _looks(sources).items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _looks(sources: list[str]) -> dict[str, tuple[str, bool]]:
    """Marker of each source, by its net, and whether it is filled: ours on a CPU."""
    ours = {s: s.removeprefix("ours (").split(", ") for s in sources if s.startswith("ours")}
    nets = list(dict.fromkeys(net for net, _ in ours.values()))
    looks = {s: ("os"[nets.index(net)], device == "CPU)") for s, (net, device) in ours.items()}
    return {s: looks.get(s, ("^", False)) for s in sources}


def _marker(look: tuple[str, bool], colour: str) -> dict[str, Any]:
    marker, filled = look
    face = COLOURS[colour] if filled else "white"
    return {"marker": marker, "ls": "", "color": COLOURS[colour], "mfc": face}
