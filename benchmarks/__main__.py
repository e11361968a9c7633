"""Measure every bar in one run: ``python -m benchmarks``, or ``make bench``.

Writes results/benchmarks.csv, results/benchmarks_growth.csv and results/benchmarks_parts.csv, and
prints what falls short. Both cores for the losses and recall, one for a training step. Cost, input
and scaling are measured by modules of their own.
"""

from __future__ import annotations

import os

import pandas as pd
import torch

from benchmarks import losses, precision, recall, training
from benchmarks.measure import Row, machine
from xbmlib.storage import ROOT, write_csv


def told(row: Row) -> str:
    """One line for a console."""
    bar = f" (bar {row['sense']} {row['bar']:g})" if row["bar"] is not None else ""
    short = "  FALLS SHORT" if row["holds"] is False else ""
    return f"{row['what']} / {row['against']}: {row['ratio']:.3g}{bar}{short}"


def main() -> None:
    """Measure, write, and say what falls short."""
    rows: list[Row] = []

    def take(found: Row) -> None:
        rows.append(found | {"machine": machine()})
        print(told(found), flush=True)

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for found in losses.rows():
        take(found)
    growth, slopes = losses.growth()
    for found in [*slopes, *recall.rows(), *precision.rows()]:
        take(found)
    training.one_thread()
    for found in training.rows():
        take(found)
    parts = training.parts()
    folder = ROOT / "results"
    write_csv(folder / "benchmarks.csv", pd.DataFrame(rows))
    write_csv(folder / "benchmarks_growth.csv", growth)
    write_csv(folder / "benchmarks_parts.csv", parts)
    print(parts.round(3).to_string(index=False))
    short = [told(found) for found in rows if found["holds"] is False]
    print(
        "\n".join(["", f"{len(short)} fall short:", *short] if short else ["", "every bar holds"])
    )


if __name__ == "__main__":
    main()
