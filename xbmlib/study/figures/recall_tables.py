"""Tables 3, 4 and 5: the published rows, and ours on the embedded data that stand beside them."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.study.figures import losses_with_memory
from xbmlib.study.figures.losses_with_memory import source
from xbmlib.study.notebook import StudyParameters, Verdict, clear, judge, mean_spread
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import initial_weights, weights_folder
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

LOSS = "contrastive"
# The paper's names of its backbones to ours.
NETS = {"GoogLeNet": "googlenet", "BN-Inception": "bninception", "ResNet50": "resnet50"}


class RecallParameters(StudyParameters):
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


def nets(parameters: RecallParameters) -> list[tuple[str, int]]:
    """Backbones and D: on the paper's data those of its own rows, else the study's, as searched.

    BN-Inception's weights are in no package: without their file it is left out, and that is told.
    """
    if parameters.size.setting is None:
        return [("compact", 0)]
    rows = paper.RECALL[parameters.number][1]
    own = [(NETS[row.backbone], row.dim) for row in rows if not row.reference and row.backbone]
    have = [(net, dim) for net, dim in own if initial_weights(net) is not None and dim]
    if missing := {net for net, _ in own} - {net for net, _ in have}:
        print(f"left out: {', '.join(missing)}: no {weights_folder()}/{'|'.join(missing)}.pth")
    return have


def _cases(parameters: RecallParameters) -> list[tuple[str, int, str, int]]:
    """Backbone, D, memory and seed of each run."""
    return [
        (net, dim, memory, seed)
        for net, dim in nets(parameters)
        for memory in ("none", "w/ M")
        for seed in parameters.seed_range
    ]


def experiments(parameters: RecallParameters) -> list[Experiment]:
    """The contrastive loss, without and with memory, on every net."""
    out = []
    for net, dim, memory, seed in _cases(parameters):
        e = losses_with_memory.case(parameters.size, parameters.data, LOSS, memory, seed)
        if parameters.size.setting is not None:
            e = e.replace(backbone=net, dim=dim, weights=initial_weights(net))
        out.append(e)
    return out


def frame(parameters: RecallParameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load the contrastive loss, without and with memory.

    Returns:
        A row a run and measure: net (with D), data, memory ("none" or "w/ M"), seed, measure
        (such as "R@1"), value (percent), run.
    """
    runs = run_all(experiments(parameters), store)
    return pd.DataFrame(
        [
            {"net": f"{net}-{dim}" if dim else net, "data": parameters.data, "memory": memory,
             "seed": seed, "measure": measure, "value": 100 * value, "run": run.id}
            for (net, dim, memory, seed), run in zip(_cases(parameters), runs, strict=True)
            for measure, value in run.recall.items()
        ]
    )  # fmt: skip


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
    ours = data.groupby(["net", "data", "memory", "measure"], sort=False)["value"].agg(mean_spread)
    ours = ours.rename("cell").reset_index().assign(source=source(parameters.data))
    ours["method"] = "Cont. " + ours["memory"].replace("none", "no memory") + ", " + ours["net"]
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
    real = parameters.size.setting is not None
    first = data[data["measure"] == (measure if real else "R@1")]
    r1 = first.set_index(["net", "memory", "seed"])["value"].sort_index()
    gains = {net: r1[net, "w/ M"] - r1[net, "none"] for net in first["net"].unique()}
    stated = [paper.LOSSES[name, LOSS, memory][measure] for memory in ("none", "w/ M")]
    best = {
        own: max(
            (row for row in rows if (row.reference is None) == own and row.recall[measure]),
            key=lambda row: row.recall[measure] or 0,
        )
        for own in (False, True)
    }
    reached = max((r1[net, "w/ M"] for net in gains), key=lambda values: values.mean())
    others = best[False].recall[measure] or 0
    common: dict[str, Any] = {
        "data": f"{parameters.size.told(parameters.data)}, batch {losses_with_memory.BATCH}, "
        f"{'R_M as searched, ' if not real else ''}profile {parameters.profile}",
        "seeds": data["seed"].nunique(),
    }
    return [
        Verdict(
            claim=f"The memory lifts the contrastive loss on {name}"
            f"{'' if real else f'; here on {parameters.data}'}.",
            paper=f"{stated[0]} to {stated[1]} ({measure}, Table 1)",
            ours="; ".join(
                f"{net} {mean_spread(r1[net, 'none'])} to {mean_spread(r1[net, 'w/ M'])}: "
                f"{mean_spread(gain)} points"
                for net, gain in gains.items()
            ),
            rule="the gain of R@1 exceeds twice its standard error over seeds on every net",
            outcome=clear(*gains.values()),
            **common,
        ),
        Verdict(
            claim=f"The contrastive loss with memory surpasses the published methods on {name}.",
            paper=f"{best[True].recall[measure]} ({best[True].backbone}-{best[True].dim}) against "
            f"{others} ({best[False].method}, {measure}, Table {parameters.number})",
            ours=f"{'' if real else 'not on this data: '}{mean_spread(reached)}"
            f"{'' if real else f' on {parameters.data}'}",
            rule="the mean of the best net is higher" if real else f"needs {name} itself",
            outcome=judge(bool(reached.mean() > others)) if real else "not testable here",
            **common,
        ),
    ]
