"""Table 1 as a figure: R@1 with each loss in both arms."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from xbmlib.paper.arms import MEMORY, NO_MEMORY, side
from xbmlib.plots.style import COLOURS, seeds

COLOUR = {NO_MEMORY: COLOURS["batch"], MEMORY: COLOURS["memory"]}


def recall_by_loss(data: pd.DataFrame, measure: str = "R@1") -> Figure:
    """Recall with each loss in both arms, one panel per data set.

    Args:
        data: tidy, one row per run and measure: data, loss, arm, seed, measure, value.
        measure: the measure to plot.
    """
    data = data[data["measure"] == measure].assign(loss=data["loss"].str.replace("_", "-\n"))
    names = list(data["data"].unique())
    data["side"] = data["arm"].map(side)
    figure, panels = plt.subplots(1, len(names), figsize=(7.2, 2.6), squeeze=False)
    for name, ax in zip(names, panels[0], strict=True):
        sns.pointplot(
            data[data["data"] == name], x="loss", y="value", hue="side", hue_order=list(COLOUR),
            palette=COLOUR, ax=ax, linestyle="none", dodge=0.3, errorbar="sd", markersize=5,
            markers=["o", "s"],
        )  # fmt: skip
        ax.set(xlabel=None, ylabel=f"{measure} (%)" if name == names[0] else None)
        ax.set_title(f"ours: {name}, {seeds(data)}")
        handles, _ = ax.get_legend_handles_labels()
        ax.get_legend().remove()
    figure.legend(handles, [NO_MEMORY, f"{MEMORY} ($R_M$ as searched)"], ncols=2,
                  loc="outside lower center")  # fmt: skip
    return figure
