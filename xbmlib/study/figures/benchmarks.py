"""What the memory costs, from results/benchmarks*.csv that ``make bench`` measured."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, ClassVar, Literal

import pandas as pd
from pydantic import Field

from xbmlib import paper
from xbmlib.storage import CHECKOUT, ROOT
from xbmlib.study.notebook import Checked, Verdict, judge


class Parameters(Checked):
    """Attributes: least: smallest memory drawn, in entries.

    ``profile`` names the folder of the figure only: there is one measurement.
    """

    notebook: ClassVar[str] = "benchmarks"
    profile: ClassVar[Literal["benchmarks"]] = "benchmarks"

    least: Annotated[int, Field(ge=1)] = 4096


def measured(name: str) -> pd.DataFrame:
    """A table that ``make bench`` wrote, or the one that the checkout has.

    Raises:
        FileNotFoundError: there is neither.
    """
    for folder in (ROOT, CHECKOUT):
        if (path := folder / "results" / f"{name}.csv").is_file():
            return pd.read_csv(path)
    raise FileNotFoundError(f"{name}.csv is not in {ROOT / 'results'}: run `make bench` first")


def measured_twice(name: str) -> pd.DataFrame:
    """:func:`measured`, and below it what a GPU was measured at, where results/ has that.

    Returns:
        The table's columns and device, "CPU" or "GPU".
    """
    found = [measured(name).assign(device="CPU")]
    with suppress(FileNotFoundError):
        found.append(measured(f"{name}_gpu").assign(device="GPU"))
    return pd.concat(found, ignore_index=True)


def table() -> pd.DataFrame:
    """Every row of results/benchmarks.csv."""
    return measured("benchmarks")


def input_rates() -> pd.DataFrame:
    """Reading images, from results/input.csv: what, ours and the peer's figure, unit, ratio."""
    return measured("input")[["what", "ours", "reference", "unit", "ratio"]]


def on_gpu() -> pd.DataFrame:
    """The losses on a GPU, from results/losses_gpu.csv: what, against, both figures, ratio.

    Of the peers' rows the ratio is how many times faster ours is.
    """
    return measured("losses_gpu")[["what", "against", "ours", "reference", "unit", "ratio"]]


def parts() -> pd.DataFrame:
    """Seconds of a whole quick run by part: a row a part, a column a run."""
    data = measured("benchmarks_parts")
    data["run"] = "batch " + data["batch"].astype(str) + ", memory " + data["memory"]
    wide = data.pivot(index="part", columns="run", values="seconds")
    return wide.fillna(0).loc[data["part"].unique()].round(1)


def growth(parameters: Parameters) -> pd.DataFrame:
    """Milliseconds of a step by size of the memory."""
    data = measured("benchmarks_growth")
    return data[data["M"] >= parameters.least]


def peers(data: pd.DataFrame) -> pd.DataFrame:
    """The rows that hold ours against another library."""
    return data[data["against"].str.contains("pytorch-metric-learning|faiss")]


def verdicts(data: pd.DataFrame) -> list[Verdict]:
    """The paper's cost of a memory of the whole training set."""
    steps = data[data["what"].str.startswith("training step")].set_index("what")["ratio"]
    hours = paper.TRAINING_HOURS
    theirs = hours[1.0].value / hours[0.0].value
    told = "; ".join(
        f"{r:.2f} × at {what.split(', ')[1]}, one measurement" for what, r in steps.items()
    )
    return [
        Verdict(
            claim="A memory of the whole training set adds little to the time of training.",
            paper=f"{theirs:.2f} × ({hours[0.0].value} to {hours[1.0].value} hours, Table 2; the "
            "text says 34%)",
            ours=told,
            rule="at most the paper's factor at every batch size",
            outcome=judge(bool((steps <= theirs).all())),
            data=f"hanzi (drawn), compact backbone, contrastive, {data['machine'].iloc[0]}",
            seeds=1,
        )
    ]
