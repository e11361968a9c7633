"""Table 1 as a figure: R@1 of each loss without and with memory."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from xbmlib.plots.style import COLOURS, seeds

KEYS = {"none": "batch", "w/ M": "memory"}


def losses(data: pd.DataFrame, measure: str = "R@1") -> Figure:
    """A panel a data set.

    Args:
        data: tidy, a row a run and measure: data, loss, memory, seed, measure, value.
        measure: to draw.
    """
    data = data[data["measure"] == measure].assign(loss=data["loss"].str.replace("_", "-\n"))
    names = list(data["data"].unique())
    figure, panels = plt.subplots(1, len(names), figsize=(7.2, 2.6), squeeze=False)
    for name, ax in zip(names, panels[0], strict=True):
        sns.pointplot(
            data[data["data"] == name], x="loss", y="value", hue="memory", hue_order=list(KEYS),
            palette={key: COLOURS[colour] for key, colour in KEYS.items()}, ax=ax,
            linestyle="none", dodge=0.3, errorbar="sd", markersize=5, markers=["o", "s"],
        )  # fmt: skip
        ax.set(xlabel=None, ylabel=f"{measure} (%)" if name == names[0] else None)
        ax.set_title(f"ours: {name}, {seeds(data)}")
        ax.legend(title=None, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return figure
