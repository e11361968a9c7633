"""Tables 3, 4 and 5: the published rows, and ours on the bundled counterparts of the data."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper import claims
from xbmlib.paper.arms import MEMORY, NETWORKS, NO_MEMORY, arm, side
from xbmlib.study.comparison import Quantity, at, standing
from xbmlib.study.figures import losses_with_memory
from xbmlib.study.figures.losses_with_memory import each_once, source
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import initial_weights, weights_folder
from xbmlib.study.verdict import BY_TEST, Verdict, clear, judged, mean_spread
from xbmlib.study.words import change, listed
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import Run, RunStore

LOSS = "contrastive"
# The paper's backbones: printed names to ours.
NETS = {printed: name for name, printed in NETWORKS.items()}


class RecallParameters(StudyParameters):
    """Attributes:
    number: number of the paper's table.
    place: place of its data set in the paper's order.
    """

    number: ClassVar[int]
    place: ClassVar[int]

    @property
    def data(self) -> str:
        """The paper's data set or its bundled counterpart."""
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


TABLES = (SopParameters, InShopParameters, VehicleIdParameters)
# The network that the rule of Section 4.4's claim names, with its D, as ours are named.
JUDGED_ON = "resnet50-128"


def nets(parameters: RecallParameters) -> list[tuple[str, int]]:
    """Backbones and D: on the paper's data those of its rows, else the study's, as searched.

    BN-Inception's weights are in no package: without a local file it is left out, which is printed.
    """
    if parameters.size.setting is None:
        return [("compact", 0)]
    rows = paper.RECALL[parameters.number][1]
    printed = [(NETS[row.backbone], row.dim) for row in rows if not row.reference and row.backbone]
    have = [(net, dim) for net, dim in printed if initial_weights(net) is not None and dim]
    if missing := {net for net, _ in printed} - {net for net, _ in have}:
        print(f"left out: {', '.join(missing)}: no {weights_folder()}/{'|'.join(missing)}.pth")
    return have


def _cases(parameters: RecallParameters) -> list[tuple[str, int, bool, int]]:
    """Backbone, D, whether with memory, and seed of each run."""
    return [
        (net, dim, memory, seed)
        for net, dim in nets(parameters)
        for memory in (False, True)
        for seed in parameters.seed_range
    ]


def experiments(parameters: RecallParameters) -> list[Experiment]:
    """Both arms of the contrastive loss with every net."""
    out = []
    for net, dim, memory, seed in _cases(parameters):
        e = losses_with_memory.case(parameters.size, parameters.data, LOSS, memory, seed)
        if parameters.size.setting is not None:
            e = e.replace(backbone=net, dim=dim, weights=initial_weights(net))
        out.append(e)
    return out


def frame(parameters: RecallParameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load both arms of the contrastive loss.

    Returns:
        One row per run and measure: net (with D), data, arm ("no memory" or such as
        "memory (R_M = 0.1)"), seed, measure (such as "R@1"), value (percent, after the last step),
        best (at the evaluation with the highest R@1, as the released code reports), evaluations
        (their number), run.
    """
    runs = run_all(experiments(parameters), store, parameters.quicker(experiments))
    return pd.DataFrame(
        [
            {"net": f"{net}-{dim}" if dim else net, "data": parameters.data,
             "arm": arm(run.experiment.ratio), "seed": seed, "measure": measure,
             "value": 100 * value, "best": 100 * best[measure],
             "evaluations": run.experiment.evaluations, "run": run.id}
            for (net, dim, _, seed), run in zip(_cases(parameters), runs, strict=True)
            for best in [best_evaluation(run)]
            for measure, value in run.recall.items()
        ]
    )  # fmt: skip


def best_evaluation(run: Run) -> dict[str, float]:
    """The evaluation with the highest R@1, the first of several: chosen on the test classes."""
    names = [name for name in run.recall if name.endswith("R@1")]
    # Of VehicleID's three test lists the largest, which comes last.
    return max(run.history, key=lambda row: row[names[-1]])


def published(parameters: RecallParameters) -> pd.DataFrame:
    """The paper's table, tidy.

    Returns:
        One row per method and measure: source ("Table 3", "Table 4" or "Table 5"), method (with
        backbone and D), data, arm ("memory" in the paper's own rows, else empty), measure, value.
    """
    name, rows = paper.RECALL[parameters.number]
    return pd.DataFrame(
        [
            {
                "source": f"Table {parameters.number}",
                "method": f"{row.method}, {row.backbone}-{row.dim}" if row.backbone else row.method,
                "data": name,
                "arm": "" if row.reference else MEMORY,
                "measure": measure,
                "value": value,
            }
            for row in rows
            for measure, value in row.recall.items()
        ]
    )


def tidy(data: pd.DataFrame, parameters: RecallParameters) -> pd.DataFrame:
    """What the figure is made of: the paper's table, both arms of its Table 1, and every run.

    Returns:
        One row per measure of each: source ("ours", "Table 1", or as :func:`published`), method,
        data, arm, measure, seed (NaN of the paper's), value (percent).
    """
    name = paper.RECALL[parameters.number][0]
    table_1 = pd.DataFrame(
        [
            {"source": "Table 1", "method": "GoogLeNet-512", "data": name, "arm": memory,
             "measure": measure, "value": value}
            for memory in (NO_MEMORY, MEMORY)
            for measure, value in paper.LOSSES[name, LOSS, memory].items()
        ]
    )  # fmt: skip
    where = parameters.size.printed(parameters.data)
    ours = data.assign(source="ours", method=data["net"], data=where)
    columns = ["source", "method", "data", "arm", "measure", "seed", "value"]
    return pd.concat([published(parameters), table_1, ours])[columns]


def table(data: pd.DataFrame, parameters: RecallParameters) -> pd.DataFrame:
    """Published rows, then ours as "mean ± standard deviation (n)"; a column per measure.

    Runs of several evaluations have a second row, of the best evaluation.
    """
    known = published(parameters)
    known["cell"] = known["value"].map(lambda v: "–" if pd.isna(v) else f"{v:.1f}")
    rows = each_once(data).assign(method="Cont., " + data["arm"] + ", " + data["net"])
    rows = rows.assign(data=rows["data"].map(parameters.size.printed))
    several = rows[rows["evaluations"] > 1]
    best = several.assign(
        method=several["method"] + ", best of " + several["evaluations"].astype(str),
        value=several["best"],
    )
    ours = pd.concat([rows, best]).groupby(["method", "data", "measure"], sort=False)["value"]
    ours = ours.agg(mean_spread).rename("cell").reset_index()
    ours = ours.assign(source=ours["data"].map(source))
    both = pd.concat([known.assign(source="paper"), ours])
    columns = list(dict.fromkeys(both["measure"]))
    order = list(dict.fromkeys(zip(both["source"], both["method"], both["data"], strict=True)))
    wide = both.pivot(index=["source", "method", "data"], columns="measure", values="cell")
    return wide.loc[order, columns].fillna("").reset_index()


def verdicts(data: pd.DataFrame, parameters: RecallParameters) -> list[Verdict]:
    """The gain on this data set; after the last of the three tables, the claim of Section 4.4."""
    name = paper.RECALL[parameters.number][0]
    measure = paper.first_measure(name)
    real = parameters.size.setting is not None
    first = data[data["measure"] == (measure if real else "R@1")]
    first = first.assign(side=first["arm"].map(side))
    r1 = first.set_index(["net", "side", "seed"])["value"].sort_index()
    gains = {net: r1[net, MEMORY] - r1[net, NO_MEMORY] for net in first["net"].unique()}
    before, after = paper.r1_of_both_arms(name, LOSS)
    found = [
        Verdict(
            claim="R@1 with the contrastive loss rises with the memory; here on "
            f"{name if real else f'{parameters.data}, in place of {name}'}.",
            paper=f"{before} to {after} ({measure}, Table 1)",
            ours="; ".join(
                f"{net} {mean_spread(r1[net, NO_MEMORY])} to {mean_spread(r1[net, MEMORY])}: "
                f"{mean_spread(gain)} points"
                for net, gain in gains.items()
            ),
            rule=f"the gain on every net: {BY_TEST}",
            outcome=clear(*gains.values()),
            data=f"{parameters.size.name_data(parameters.data)}, batch "
            f"{losses_with_memory.BATCH}, {'' if real else 'R_M = 1, '}"
            f"profile {parameters.profile}",
            seeds=data["seed"].nunique(),
        )
    ]
    if parameters.number == max(paper.RECALL):
        found.insert(0, _literature(parameters))
    return found


def _literature(parameters: RecallParameters) -> Verdict:
    """Section 4.4's claim, which is of the published data sets and the paper's ResNet50."""
    values = {}
    if parameters.size.setting is not None:
        for table in TABLES:
            name = paper.RECALL[table.number][0]
            data = frame(table(**parameters.model_dump()))
            ours = data[
                (data["net"] == JUDGED_ON)
                & (data["measure"] == paper.first_measure(name))
                & (data["arm"].map(side) == MEMORY)
            ]
            values[name] = ours.set_index("seed")["value"]
    return judged(
        claims.SURPASSES_LITERATURE,
        values,
        names={},
        unit="%",
        data=f"{parameters.size.name_data()}, batch {losses_with_memory.BATCH}, "
        f"profile {parameters.profile}",
        detail="" if values else "not on the published data sets",
    )


def comparison(data: pd.DataFrame, parameters: RecallParameters) -> list[Quantity]:
    """Recall of both arms beside Table 1's, which is of GoogLeNet-512, at every K."""
    name = paper.RECALL[parameters.number][0]
    values = data.assign(side=data["arm"].map(side))
    values = values.set_index(["net", "side", "measure", "seed"])["value"].sort_index()
    return [
        Quantity(
            f"{standing(parameters.size, name)}, {net}, {memory}",
            f"{measure}, %",
            at(values, net, memory, measure),
            stated if net in ("compact", "googlenet-512") else None,
        )
        for net in data["net"].unique()
        for memory in (NO_MEMORY, MEMORY)
        for measure, stated in paper.LOSSES[name, LOSS, memory].items()
    ]


def closing(data: pd.DataFrame, parameters: RecallParameters) -> str:
    """What came out, and why, in words."""
    name = paper.RECALL[parameters.number][0]
    measure = paper.first_measure(name)
    shown = measure if measure in set(data["measure"]) else "R@1"
    values = data[data["measure"] == shown].assign(side=data["arm"].map(side))
    r1 = values.set_index(["net", "side", "seed"])["value"].sort_index()
    before, after = paper.r1_of_both_arms(name, LOSS)
    nets = [
        f"R@1 of the {net} network is {r1[net, NO_MEMORY].mean():.1f}% with {NO_MEMORY} and "
        f"{change(r1[net, MEMORY] - r1[net, NO_MEMORY])} with memory"
        for net in values["net"].unique()
    ]
    others = published(parameters)
    others = others[(others["measure"] == measure) & (others["arm"] == "")]
    best = others.nlargest(1, "value").iloc[0]
    where = parameters.size.printed(parameters.data)
    text = (
        f"On {where}, {listed(nets)}; the paper's rises from {before:g}% to {after:g}% on {name} "
        f"(Table 1, GoogLeNet-512), and the best earlier method of Table {parameters.number}, "
        f"{best['method']}, is at {best['value']:g}%."
    )
    if where == name:
        return text
    return (
        f"{text} Levels on {where} and on {name} cannot be compared: rendered images against "
        "photographs, and a compact network against the paper's. The gain can, and "
        f"where the baseline starts: {100 - r1.xs(NO_MEMORY, level='side').mean():.1f} points "
        f"are left to gain here, {100 - before:.1f} in the paper."
    )
