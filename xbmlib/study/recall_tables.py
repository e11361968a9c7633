"""Tables 3, 4 and 5: the published rows, and ours on the embedded data that stand beside them."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.config import Experiment
from xbmlib.runs import RunStore
from xbmlib.study import losses
from xbmlib.study.notebook import Parameters, Verdict, clear, mean_spread

LOSS = "contrastive"


class RecallParameters(Parameters):
    """Attributes:
    number: of the paper's table.
    place: of its data set in the paper's order.
    """

    number: ClassVar[int]
    place: ClassVar[int]

    @property
    def data(self) -> str:
        """The paper's data set, or the embedded one that stands beside it."""
        return self.size.data[self.place]


class SopParameters(RecallParameters):
    """Table 3."""

    notebook: ClassVar[str] = "recall_sop"
    number: ClassVar[int] = 3
    place: ClassVar[int] = 0


class InShopParameters(RecallParameters):
    """Table 4."""

    notebook: ClassVar[str] = "recall_inshop"
    number: ClassVar[int] = 4
    place: ClassVar[int] = 1


class VehicleIdParameters(RecallParameters):
    """Table 5."""

    notebook: ClassVar[str] = "recall_vehicleid"
    number: ClassVar[int] = 5
    place: ClassVar[int] = 2


def experiments(parameters: RecallParameters) -> list[Experiment]:
    """The contrastive loss on the embedded data set, without and with memory."""
    return losses.experiments(parameters, (parameters.data,), (LOSS,))


def frame(parameters: RecallParameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load the contrastive loss on the embedded data set, without and with memory.

    Returns:
        As :func:`xbmlib.study.losses.frame`.
    """
    return losses.frame(parameters, store, data=(parameters.data,), names=(LOSS,))


def published(parameters: RecallParameters) -> pd.DataFrame:
    """The paper's table, tidy.

    Returns:
        A row a method and measure: source, method (with backbone and D), data, measure, value.
    """
    name, rows = paper.RECALL[parameters.number]
    return pd.DataFrame(
        [
            {
                "source": "paper",
                "method": f"{row.method}, {row.backbone}-{row.dim}" if row.backbone else row.method,
                "data": name,
                "measure": measure,
                "value": value,
            }
            for row in rows
            for measure, value in row.recall.items()
        ]
    )


def table(data: pd.DataFrame, parameters: RecallParameters) -> pd.DataFrame:
    """Published rows, then ours, a column a measure; ours as "mean ± spread (n)"."""
    known = published(parameters)
    known["cell"] = known["value"].map(lambda v: "–" if pd.isna(v) else f"{v:.1f}")
    ours = data.groupby(["data", "memory", "measure"], sort=False)["value"].agg(mean_spread)
    ours = ours.rename("cell").reset_index().assign(source="ours (drawn)")
    ours["method"] = "Cont. " + ours["memory"].replace("none", "no memory") + ", compact"
    both = pd.concat([known, ours])
    columns = list(dict.fromkeys(both["measure"]))
    order = list(dict.fromkeys(zip(both["source"], both["method"], both["data"], strict=True)))
    wide = both.pivot(index=["source", "method", "data"], columns="measure", values="cell")
    return wide.loc[order, columns].fillna("").reset_index()


def verdicts(data: pd.DataFrame, parameters: RecallParameters) -> list[Verdict]:
    """The gain on this data set; whether it beats the published is for the paper's data to say."""
    name, rows = paper.RECALL[parameters.number]
    # The largest list where there are several.
    measure = next(m for m in reversed(paper.SETS[name]) if m.endswith("R@1"))
    r1 = data[data["measure"] == "R@1"].set_index(["memory", "seed"])["value"].sort_index()
    gain = r1["w/ M"] - r1["none"]
    stated = [paper.LOSSES[name, LOSS, memory][measure] for memory in ("none", "w/ M")]
    best = {
        own: max(
            (row for row in rows if (row.reference is None) == own and row.recall[measure]),
            key=lambda row: row.recall[measure] or 0,
        )
        for own in (False, True)
    }
    where = (
        f"{parameters.size.told(parameters.data)}, batch {losses.BATCH}, R_M as searched, "
        f"profile {parameters.profile}"
    )
    return [
        Verdict(
            claim=f"The memory lifts the contrastive loss on {name}; here on {parameters.data}.",
            paper=f"{stated[0]} to {stated[1]} ({measure}, Table 1)",
            ours=f"{mean_spread(r1['none'])} to {mean_spread(r1['w/ M'])}: {mean_spread(gain)} "
            "points",
            rule="the gain of R@1 exceeds twice its standard error over seeds",
            outcome=clear(gain),
            data=where,
            seeds=len(gain),
        ),
        Verdict(
            claim=f"The contrastive loss with memory surpasses the published methods on {name}.",
            paper=f"{best[True].recall[measure]} ({best[True].backbone}-{best[True].dim}) against "
            f"{best[False].recall[measure]} ({best[False].method}, {measure}, "
            f"Table {parameters.number})",
            ours=f"not on this data: {mean_spread(r1['w/ M'])} on {parameters.data}",
            rule=f"needs {name} itself",
            outcome="not testable here",
            data=where,
            seeds=len(gain),
        ),
    ]
