"""Table 2: what a larger batch and the memory cost, and what each of them gains."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from xbmlib import datasets, paper
from xbmlib.paper import claims
from xbmlib.paper.arms import arm, network_name
from xbmlib.study.comparison import Quantity, standing
from xbmlib.study.figures import benchmarks
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.protocol import experiment
from xbmlib.study.verdict import BY_TEST, Verdict, clear, judged, mean_spread
from xbmlib.study.words import beside, beside_change, change
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore
from xbmlib.training.trainer import Trainer

MIB = 2**20 / 1e9  # one MiB in GB
# Network and device that the rules of the claims name, and their cases.
JUDGED_ON, CASES = "GoogLeNet, GPU", ("time, percent", "GPU memory, GB")


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "cost"


def name(batch: int, ratio: float) -> str:
    """A row of Table 2 in words."""
    return f"batch {batch}, {arm(ratio)}"


def _listed(parameters: Parameters) -> list[dict[str, Any]]:
    return [
        {"setting": name(row.batch, row.ratio), "batch": row.batch, "ratio": row.ratio, "seed": s}
        for row in paper.COST
        for s in parameters.seed_range
    ]


def experiments(parameters: Parameters) -> list[Experiment]:
    """The four settings of Table 2."""
    return [
        experiment(parameters.size, row["batch"], seed=row["seed"], ratio=row["ratio"])
        for row in _listed(parameters)
    ]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load the four settings.

    Returns:
        One row per run: data, net, setting, batch, ratio, seed, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store, parameters.quicker(experiments))
    return pd.DataFrame(
        [
            {"data": run.experiment.data, "net": run.experiment.backbone}
            | row
            | {"R@1": 100 * run.recall["R@1"], "run": run.id}
            for row, run in zip(_listed(parameters), runs, strict=True)
        ]
    )


def measured() -> pd.DataFrame:
    """Measured time and memory, from results/cost.csv and cost_gpu.csv.

    Returns:
        One row per net, device and setting: net, device, name (of both), setting, batch, ratio, M,
        ms (milliseconds per step), extra_gb (peak memory beyond that of the first row of the same
        name).
    """
    data = benchmarks.measured_twice("cost")
    data["name"] = data["net"].map(network_name) + ", " + data["device"]
    data["setting"] = [name(b, r) for b, r in zip(data["batch"], data["ratio"], strict=True)]
    first = data.groupby("name")["peak_mib"].transform("first")
    data["extra_gb"] = (data["peak_mib"] - first) * MIB
    return data


# Headings of the columns of :func:`table`.
HEADINGS = {
    "source": "source",
    "setting": "setting",
    "time": "time, times the first row's",
    "extra_gb": "memory beyond the first row's, GB",
    "R@1": "R@1, %",
    "gain": "gain, points",
    "spread": "± of the gain",
    "seeds": "n",
}


def table(data: pd.DataFrame) -> pd.DataFrame:
    """Table 2's rows, then ours.

    Returns:
        source, setting, time (ours: of a step; the paper's: of the whole training, whose number of
        updates it does not state; as multiples of the first row's), extra_gb (beyond the first
        row's), R@1 and gain (means, in percent and points), spread (standard deviation of the
        gain), seeds. R@1 stands once, in the rows of the net that was trained.
    """
    first = paper.COST[0]
    rows: list[dict[str, Any]] = [
        {
            "source": "paper (SOP, GoogLeNet)",
            "setting": name(row.batch, row.ratio),
            "time": row.hours / first.hours,
            "extra_gb": row.gigabytes if row.gain else 0.0,
            "R@1": row.r1,
            "gain": row.gain or 0.0,
        }
        for row in paper.COST
    ]
    r1 = data.set_index(["setting", "seed"])["R@1"]
    base = r1[name(first.batch, first.ratio)]
    trained = data["net"].iloc[0]
    for named, part in measured().groupby("name", sort=False):
        for row in part.itertuples():
            ours: dict[str, Any] = {
                "source": f"ours ({named})",
                "setting": row.setting,
                "time": row.ms / part["ms"].iloc[0],
                "extra_gb": row.extra_gb,
            }
            if row.net == trained and row.device == "CPU":
                gain = r1[row.setting] - base
                ours |= {"R@1": r1[row.setting].mean(), "gain": gain.mean(), "spread": gain.std()}
                ours["seeds"] = len(gain)
            rows.append(ours)
    return pd.DataFrame(rows)


def computation() -> dict[str, pd.Series]:
    """What the memory adds to an update and to inference, counted: for Section 3.3's claim.

    Returns:
        By case of the rule, with memory minus without: images through the network in one update
        after the memory's start, and parameters of the embedder.
    """
    images, parameters = [], []
    for ratio in (0.0, 1.0):
        e = Experiment(batch=64, ratio=ratio, start=1, steps=3)
        trainer = Trainer(e, datasets.load(e.data, e.split, e.view), Path("unused"))
        seen: list[int] = []
        trainer.model.register_forward_pre_hook(
            lambda _, inputs, seen=seen: seen.append(len(inputs[0]))
        )
        for batch, _ in zip(trainer.batches(), range(e.start + 1), strict=False):
            seen.clear()
            trainer.update(*batch)
        images.append(sum(seen))
        parameters.append(sum(p.numel() for p in trainer.model.parameters()))
    cases = zip(("images per update", "parameters at inference"), (images, parameters), strict=True)
    return {case: pd.Series([float(after - before)]) for case, (before, after) in cases}


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of Sections 3.3 and 4.3, "Memory and Computational Cost"."""
    _, larger, _, whole = paper.COST
    r1 = data.set_index(["batch", "ratio", "seed"])["R@1"].sort_index()
    gains = {row: r1[row.batch, row.ratio] - r1[64, 0.0] for row in (larger, whole)}
    found = measured()
    grown = {
        name: growth(part)
        for name, part in found.set_index(["batch", "ratio"]).groupby("name", sort=False)
    }
    judged_on = grown.get(JUDGED_ON, {})
    little = {
        case: judged_on[256, case] - judged_on[64, case]
        for case in CASES
        if (64, case) in judged_on
    }
    saved = {}
    if (16, "peak") in judged_on:
        saved = {"GPU memory": 100 - 100 * judged_on[16, "peak"] / judged_on[256, "peak"]}
    others = "; ".join(
        f"{name}: a step {values[64, CASES[0]].iloc[0]:+.0f}% with memory, "
        f"{values[256, CASES[0]].iloc[0]:+.0f}% at batch 256"
        for name, values in grown.items()
        if name != JUDGED_ON
    )
    machine = "; ".join(found["machine"].unique())
    gpu = f"GoogLeNet at 224×224, M = 59,551, one measurement; {machine}"
    return [
        judged(
            claims.NO_EXTRA_COMPUTATION,
            computation(),
            names={},
            unit="",
            digits=0,
            data="hanzi (rendered), batch 64, R_M = 1, compact network",
        ),
        judged(
            claims.LITTLE_EXTRA_COST,
            little,
            sizes={case: judged_on[64, case] for case in little},
            names={},
            unit="",
            digits=2,
            detail=f"other measurements: {others}",
            data=gpu,
        ),
        judged(claims.BATCH_16_SAVES_MEMORY, saved, names={}, unit="%", data=gpu),
        Verdict(
            claim="R@1 rises more with the memory than with a batch four times as large.",
            paper=f"{whole.gain:+.1f} against {larger.gain:+.1f} points (SOP, Table 2)",
            ours=f"{mean_spread(gains[whole])} against {mean_spread(gains[larger])} points",
            rule=f"the difference of the two gains: {BY_TEST}",
            outcome=clear(gains[whole] - gains[larger]),
            data=f"{parameters.size.first_name}, contrastive, {parameters.size.updates:,} updates, "
            f"profile {parameters.profile}",
            seeds=data["seed"].nunique(),
        ),
    ]


def growth(part: pd.DataFrame) -> dict[tuple[int, str], pd.Series]:
    """What a step costs beyond batch 64 with no memory.

    Args:
        part: the rows of one network and device of :func:`measured`, by batch and ratio.

    Returns:
        (64, case) for the memory of R_M = 1, (256, case) for the batch with no memory, for each of
        CASES; and (batch, "peak"), the peak memory in GB with R_M = 1 at batch 16 and with none
        at 256, where they were measured.
    """
    base = part.loc[(64, 0.0)]
    out = {}
    for batch, ratio in ((64, 1.0), (256, 0.0)):
        row = part.loc[(batch, ratio)]
        out[batch, CASES[0]] = pd.Series([100 * (row["ms"] / base["ms"] - 1)])
        out[batch, CASES[1]] = pd.Series([row["extra_gb"]])
    for at in ((16, 1.0), (256, 0.0)):
        if at in part.index:
            out[at[0], "peak"] = pd.Series([part.loc[at, "peak_mib"] * MIB])
    return out


def comparison(data: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """Table 2 beside ours: R@1 of the study's network, time and memory of the paper's on a GPU."""
    rows = table(data)
    theirs = rows[rows["source"].str.startswith("paper")].set_index("setting")
    judged_on = rows[rows["source"] == f"ours ({JUDGED_ON})"].set_index("setting")
    r1 = data.set_index(["setting", "seed"])["R@1"]
    name = standing(parameters.size, "SOP")
    first = str(theirs.index[0])
    found = []
    for setting in map(str, theirs.index):
        printed = theirs.loc[setting]
        found.append(Quantity(setting, f"R@1, {name}, %", r1[setting], printed["R@1"]))
        if setting != first:
            time, memory = (judged_on[c].reindex([setting]) for c in ("time", "extra_gb"))
            found += [
                Quantity(setting, "gain, points", r1[setting] - r1[first], printed["gain"]),
                Quantity(setting, "GoogLeNet, GPU: time of a step, times the first row's", time,
                         round(printed["time"], 2), digits=2),
                Quantity(setting, "GoogLeNet, GPU: memory beyond the first row's, GB", memory,
                         printed["extra_gb"], digits=2),
            ]  # fmt: skip
    return found


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    first, larger, _, whole = (name(row.batch, row.ratio) for row in paper.COST)
    r1 = data.set_index(["setting", "seed"])["R@1"]
    text = (
        f"From {first} to {whole}, R@1 on {parameters.size.first_name} "
        f"{change(r1[whole] - r1[first])}{beside_change(paper.COST[3].gain)}; to {larger} it "
        f"{change(r1[larger] - r1[first])}{beside_change(paper.COST[1].gain)}, "
        f"at {parameters.size.updates:,} updates each."
    )
    found = measured()
    part = found[found["name"] == JUDGED_ON].set_index(["batch", "ratio"])
    if part.empty:
        return f"{text} Time and memory were not measured on a GPU."
    grown = {key: float(values.iloc[0]) for key, values in growth(part).items()}
    time, memory = CASES
    entries = paper.PROTOCOLS["SOP"].train.images
    size = entries * paper.DIM.value * 4 / 1e9
    larger_batch = paper.COST[1].batch
    return (
        f"{text} On a GPU, a memory of the whole training set adds {grown[64, time]:.0f}% to the "
        f"time of a step of GoogLeNet{beside(paper.EXTRA_TIME.value, '%')} and "
        f"{grown[64, memory]:.2f} GB{beside(paper.EXTRA_MEMORY_GB.value)}; a batch of "
        f"{larger_batch} adds {grown[larger_batch, time]:.0f}% and "
        f"{grown[larger_batch, memory]:.2f} GB. The memory adds one product of the batch with "
        f"{entries:,} embeddings, {size:.2f} GB in float32, the larger batch more images through "
        "the network."
    )
