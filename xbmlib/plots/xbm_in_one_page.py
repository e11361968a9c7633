"""The batch's loss over a training, by run."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from xbmlib.plots.style import COLOURS


def losses(data: pd.DataFrame, start: int) -> Axes:
    """The loss within the batch against the step: no memory, memory, and the library's.

    Args:
        data: columns run, step and loss; a rolling mean over 20 steps is drawn. The library's run
            comes last and is drawn as dots upon the other's line.
        start: step at which the memory joins.
    """
    _, ax = plt.subplots()
    marks = (("batch", "-"), ("memory", "-"), ("bare", ":"))
    for (name, style), (run, rows) in zip(marks, data.groupby("run", sort=False), strict=True):
        smooth = rows["loss"].rolling(20, min_periods=1).mean()
        ax.plot(rows["step"], smooth, style, color=COLOURS[name], label=run)
    ax.axvline(start, color=COLOURS["paper"], linestyle="--", linewidth=0.8, label="warm-up ends")
    ax.set(xlabel="step", ylabel="loss within the batch, mean of 20 steps", ylim=(0, None))
    ax.legend()
    return ax
