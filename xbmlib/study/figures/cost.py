"""Table 2: what a larger batch and the memory cost, and what each of them gains."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from xbmlib import backbones, paper
from xbmlib.paper.arms import NO_MEMORY, arm
from xbmlib.study.figures import benchmarks
from xbmlib.study.notebook import (
    EQUAL_IMAGES,
    StudyParameters,
    Verdict,
    clear,
    judge,
    mean_spread,
)
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import experiment
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

MIB = 2**20 / 1e9  # one MiB in GB


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
    """Run or load the four settings, at an equal number of training images.

    Returns:
        One row per run: data, net, setting, batch, ratio, seed, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store)
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
        images_ms (milliseconds per image), extra_gb (peak memory beyond that of the first row of
        the same name).
    """
    data = benchmarks.measured_twice("cost")
    data["name"] = data["net"] + ", " + data["device"]
    data["setting"] = [name(b, r) for b, r in zip(data["batch"], data["ratio"], strict=True)]
    data["images_ms"] = data["ms"] / data["batch"]
    first = data.groupby("name")["peak_mib"].transform("first")
    data["extra_gb"] = (data["peak_mib"] - first) * MIB
    return data


def table(data: pd.DataFrame) -> pd.DataFrame:
    """Table 2's rows, then ours.

    Returns:
        source, setting, time (ours: per image; the paper's: of the whole training, whose length it
        does not state; as multiples of the first row's), extra_gb (beyond the first row's), R@1 and
        gain (means, in percent and points), spread (standard deviation of the gain), seeds. R@1
        stands once, in the rows of the net that was trained.
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
                "time": row.images_ms / part["images_ms"].iloc[0],
                "extra_gb": row.extra_gb,
            }
            if row.net == trained and row.device == "CPU":
                gain = r1[row.setting] - base
                ours |= {"R@1": r1[row.setting].mean(), "gain": gain.mean(), "spread": gain.std()}
                ours["seeds"] = len(gain)
            rows.append(ours)
    return pd.DataFrame(rows)


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of Section 4.3, "Memory and Computational Cost"."""
    first, larger, _, whole = paper.COST
    # Sorted: pandas warns of a look-up in an index that is not.
    r1 = data.set_index(["batch", "ratio", "seed"])["R@1"].sort_index()
    gains = {row: r1[row.batch, row.ratio] - r1[64, 0.0] for row in (larger, whole)}
    found = measured()
    at = {key: row for key, row in found.set_index(["name", "batch", "ratio"]).iterrows()}
    nets = list(found["name"].unique())
    time = {n: at[n, 64, 1.0]["images_ms"] / at[n, 64, 0.0]["images_ms"] for n in nets}
    memory = {n: at[n, 64, 1.0]["extra_gb"] for n in nets}
    batch = {n: at[n, 256, 0.0]["extra_gb"] for n in nets}
    machine = "; ".join(found["machine"].unique())
    sizes = [
        sum(p.numel() for p in backbones.build(e.backbone, e.dim, pooling=e.pooling).parameters())
        for e in (experiment(parameters.size, 64, seed=0, ratio=r) for r in (0.0, 1.0))
    ]
    hours = whole.hours / first.hours
    return [
        Verdict(
            claim="A memory of the whole training set adds little to the time of a step.",
            paper=f"{hours:.2f} × ({first.hours} to {whole.hours} hours, Table 2; the text says "
            f"{paper.EXTRA_TIME.value:g}%)",
            ours="; ".join(f"{net} {t:.2f} ×" for net, t in time.items())
            + f" a step with {NO_MEMORY}; one measurement",
            rule="at most the paper's factor for both nets, on a CPU and on a GPU",
            outcome=judge(all(t <= hours for t in time.values())),
            data=f"batch 64, R_M = 1, GoogLeNet at 224×224 with M = 59,551; {machine}",
            seeds=1,
        ),
        Verdict(
            claim="The memory takes much less space than a batch four times as large.",
            paper=f"memory {whole.gigabytes:+.2f} GB, batch 256 {larger.gigabytes:+.1f} GB "
            "(Table 2)",
            ours="; ".join(
                f"{n}: memory {memory[n]:+.2f} GB, batch 256 {batch[n]:+.2f} GB" for n in nets
            )
            + "; one measurement",
            rule="for both nets, on a CPU and on a GPU, the memory takes at most a tenth of what "
            "batch 256 adds",
            outcome=judge(all(memory[n] <= batch[n] / 10 for n in nets)),
            data="peak of the process, or of the GPU's memory, beyond that of batch 64 with "
            f"{NO_MEMORY}; {machine}",
            seeds=1,
        ),
        Verdict(
            claim="R@1 rises more with the memory than with a batch four times as large.",
            paper=f"{whole.gain:+.1f} against {larger.gain:+.1f} points (SOP, Table 2)",
            ours=f"{mean_spread(gains[whole])} against {mean_spread(gains[larger])} points",
            rule="the difference exceeds twice its standard error over seeds",
            outcome=clear(gains[whole] - gains[larger]),
            data=f"{parameters.size.first_name}, contrastive, {EQUAL_IMAGES}, "
            f"profile {parameters.profile}",
            seeds=data["seed"].nunique(),
        ),
        Verdict(
            claim="The memory adds nothing at inference.",
            paper=f'"{paper.INFERENCE.text}" ({paper.INFERENCE.where})',
            ours=f"{sizes[1]:,} parameters with memory, {sizes[0]:,} with {NO_MEMORY}; the queue "
            "is no part of the embedder",
            rule="the embedder trained with memory has no more parameters",
            outcome=judge(sizes[1] <= sizes[0]),
            data=f"{data['net'].iloc[0]} backbone, the settings of each arm",
            seeds=1,
        ),
    ]
