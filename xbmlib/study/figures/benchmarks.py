"""What the memory costs, as ``make bench`` measured it into results/benchmarks*.csv."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, ClassVar, Literal

import pandas as pd
from pydantic import Field

from xbmlib import paper
from xbmlib.paper.arms import NO_MEMORY, arm
from xbmlib.study.comparison import Quantity
from xbmlib.study.measured import measured
from xbmlib.study.notebook import Checked, ParameterError
from xbmlib.study.verdict import Verdict, judge
from xbmlib.study.words import listed

# Headings of the tables of measurements, by the columns of results/; "aim" is of :func:`aimed`.
HEADINGS = {
    "what": "what",
    "ours": "ours",
    "against": "compared with",
    "reference": "its value",
    "unit": "unit",
    "ratio": "ratio",
    "aim": "aim of the ratio",
    "holds": "reached",
    "reason": "why not",
    "MB": "to be read, MB",
    "share": "share of the bandwidth",
}


class Parameters(Checked):
    """Attributes: least: M of the smallest memory in the figure.

    ``profile`` only names the folder of the figure: there is one measurement.
    """

    notebook: ClassVar[str] = "benchmarks"
    profile: ClassVar[Literal["benchmarks"]] = "benchmarks"

    least: Annotated[int, Field(ge=1)] = 4096


def measured_twice(name: str) -> pd.DataFrame:
    """:func:`measured`, followed by the same table measured on a GPU, if results/ has one.

    Returns:
        The columns of the table and device, "CPU" or "GPU".
    """
    found = [measured(name).assign(device="CPU")]
    with suppress(FileNotFoundError):
        found.append(measured(f"{name}_gpu").assign(device="GPU"))
    return pd.concat(found, ignore_index=True)


def table() -> pd.DataFrame:
    """Every row of results/benchmarks.csv."""
    return measured("benchmarks")


def aimed(data: pd.DataFrame) -> pd.DataFrame:
    """The rows with the column "aim": such as "≤ 1.2", or nothing where the ratio has no bar.

    A table without bars is returned as it is; "reason" is empty where nothing falls short.
    """
    if "bar" not in data.columns:
        return data
    signs = {"<=": "≤", ">=": "≥"}
    pairs = zip(data["sense"], data["bar"], strict=True)
    data = data.assign(aim=[f"{signs[s]} {bar:g}" if s in signs else "" for s, bar in pairs])
    # Read from a file in which nothing falls short, it is a column of NaN.
    reason = data["reason"].astype(object).fillna("") if "reason" in data.columns else ""
    return data.assign(reason=reason)


def missed(*tables: pd.DataFrame) -> list[str]:
    """A sentence for each row of the tables whose ratio falls short of its aim, with its reason."""
    return [
        f"{r.what}, against {r.against}: {r.ratio:.3g} (aim {r.aim})"
        + f"; {r.reason}" * bool(r.reason)
        for data in map(aimed, tables)
        for r in data[data["holds"].astype(str) == "False"].itertuples()
    ]


def input_rates() -> pd.DataFrame:
    """Rates of reading images: what, against, ours, reference, unit, ratio of results/input.csv."""
    return measured("input")[["what", "against", "ours", "reference", "unit", "ratio"]]


def waiting() -> pd.DataFrame:
    """What a person waits for, from results/waiting.csv.

    Returns:
        what, against, ours, reference, unit, ratio, sense and bar (of the ratio), holds, machine.
    """
    return measured("waiting")


def on_gpu() -> pd.DataFrame:
    """The losses on a GPU, from results/losses_gpu.csv; :func:`about_gpu` says what it compares.

    Returns:
        what, against, ours, reference, unit, ratio, MB (that have to be read) and share (of the
        bandwidth, in [0, 1]); of a table of the one pass also sense and bar (of the ratio), holds
        and, if it has it, reason.
    """
    data = measured("losses_gpu")
    shown = ["what", "against", "ours", "reference", "unit", "ratio", "MB", "share"]
    if "bytes" in data.columns:
        shown += [name for name in ("sense", "bar", "holds", "reason") if name in data.columns]
        return data.assign(MB=data["bytes"] / 1e6)[shown]
    return _beside_one_read(data, measured("scaling_gpu")["bandwidth"].iloc[0])[shown]


def _beside_one_read(data: pd.DataFrame, bandwidth: float) -> pd.DataFrame:
    """A table that compares with a bare product, with its times beside one read of the entries.

    Args:
        data: results/losses_gpu.csv before there was a one pass.
        bandwidth: bytes that the same GPU reads per second (results/scaling_gpu.csv).
    """
    ours = data["against"] == "bare product, fp32"
    width = data["what"].map(lambda what: 2 if "bf16" in what else 4)
    size = data["M"] * data["D"] * width
    read = 1e3 * size / bandwidth
    data = data.assign(MB=(size / 1e6).where(ours), share=(read / data["ours"]).where(ours))
    data.loc[ours, "against"] = "one read of the entries"
    data["reference"] = data["reference"].mask(ours, read)
    data["ratio"] = data["ratio"].mask(ours, data["ours"] / read)
    return data


def about_gpu(data: pd.DataFrame) -> str:
    """What the rows of :func:`on_gpu` are compared with."""
    if "holds" in data.columns:
        return (
            "A time is compared with one read of the entries, which no step that compares with all "
            "of them can undercut: the ratio is how many times as long it takes, the share that of "
            "the measured bandwidth. The method one_pass reads the entries once, in a kernel; "
            "search finds the pairs that count, then weighs them."
        )
    return (
        "The method search, measured before there was a one pass over the entries, whose aims are "
        "at most 3 times one read of them in float32, 2 times in bfloat16, and 16 MiB. A time is "
        "compared with that read at the bandwidth of results/scaling_gpu.csv; in the rows of "
        "another library the ratio is how many times faster ours is."
    )


def parts() -> pd.DataFrame:
    """Seconds of one run of profile ``quick``: one row per part of it, one column per arm."""
    data = measured("benchmarks_parts")
    memory = data["memory"].replace({"none": NO_MEMORY, "100%": arm(1.0)})
    data["run"] = "batch " + data["batch"].astype(str) + ", " + memory
    wide = data.pivot(index="part", columns="run", values="seconds")
    return wide.fillna(0).loc[data["part"].unique()].round(1)


def growth(parameters: Parameters) -> pd.DataFrame:
    """Milliseconds per step for each M from ``least`` up.

    Raises:
        ParameterError: ``least`` exceeds every M that was measured.
    """
    data = measured("benchmarks_growth")
    if parameters.least > (largest := data["M"].max()):
        raise ParameterError(
            f"least={parameters.least}: the largest M that was measured is {largest}; give at "
            "most that"
        )
    return data[data["M"] >= parameters.least]


def peers(data: pd.DataFrame) -> pd.DataFrame:
    """The rows that compare with another library."""
    return data[data["against"].str.contains("pytorch-metric-learning|faiss")]


def _steps(data: pd.DataFrame) -> pd.Series:
    """Time of a training step with R_M = 1, as a multiple of that with no memory, by its name."""
    with_memory = data["what"].str.fullmatch(r"training step, batch \d+, 100% memory")
    return data[with_memory].set_index("what")["ratio"]


def verdicts(data: pd.DataFrame) -> list[Verdict]:
    """The paper's claim on the cost of a memory of the whole training set."""
    steps = _steps(data)
    hours = paper.TRAINING_HOURS
    theirs = hours[1.0].value / hours[0.0].value
    ours = "; ".join(
        f"{r:.2f} × at {what.split(', ')[1]}, one measurement" for what, r in steps.items()
    )
    return [
        Verdict(
            claim="A memory of the whole training set adds little to the time of training.",
            paper=f"{theirs:.2f} × ({hours[0.0].value} to {hours[1.0].value} hours, Table 2; the "
            "text says 34%)",
            ours=ours,
            rule="at most the paper's factor at every batch size",
            outcome=judge(bool((steps <= theirs).all())),
            data=f"hanzi (rendered), compact backbone, contrastive, {data['machine'].iloc[0]}",
            seeds=1,
        )
    ]


def comparison(data: pd.DataFrame) -> list[Quantity]:
    """How much longer a training step takes with R_M = 1, beside the hours of Table 2."""
    steps = _steps(data)
    hours = paper.TRAINING_HOURS
    stated = round(hours[1.0].value / hours[0.0].value, 2)
    return [
        Quantity(
            "compact network, CPU (paper: GoogLeNet, SOP, batch 64)",
            f"time with {arm(1.0)}, times that with {NO_MEMORY}, {what.split(', ')[1]}",
            pd.Series([ratio]),
            stated if "64" in what else None,
            digits=2,
        )
        for what, ratio in steps.items()
    ]


def closing(data: pd.DataFrame) -> str:
    """What came out, and why, in words."""
    steps = _steps(data)
    parts = [f"{ratio:.2f} times at {what.split(', ')[1]}" for what, ratio in steps.items()]
    others = peers(data)["ratio"]
    bare = data[(data["what"] == "contrastive, fp32") & (data["against"] == "bare product, fp32")]
    return (
        f"With a memory of the whole training set a step of the compact network takes "
        f"{listed(parts)} the time with {NO_MEMORY}; the larger the network, the smaller the share "
        "of the memory. Enqueuing a batch and computing the contrastive loss and its gradient in "
        f"float32 takes {bare['ratio'].iloc[0]:.2f} times as long as the bare product of batch and "
        f"memory. The other libraries take {others.min():.1f} to {others.max():.1f} times as long "
        f"as ours for the same. Of {data['bar'].notna().sum()} aims {len(missed(data))} are "
        "missed (docs/results.md lists them)."
    )
