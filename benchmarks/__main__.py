"""Measure every ratio and its bar in one run: ``python -m benchmarks``, or ``make bench``.

Writes results/benchmarks.csv, results/benchmarks_growth.csv and results/benchmarks_parts.csv, and
prints the ratios that miss their bar. All cores for the losses and recall, one for a training step.
Cost, input, scaling and waiting are separate: ``python -m benchmarks.cost`` and so on.
"""

from __future__ import annotations

import os

import pandas as pd
import torch

from benchmarks import growth, losses, network, precision, recall, training
from benchmarks.measure import Row, machine
from xbmlib.storage import ROOT, write_csv


def line(row: Row) -> str:
    """One row as a line for the console."""
    bar = f" (bar {row['sense']} {row['bar']:g})" if row["bar"] is not None else ""
    short = "  FALLS SHORT" if row["holds"] is False else ""
    return f"{row['what']} / {row['against']}: {row['ratio']:.3g}{bar}{short}"


def main() -> None:
    """Measure, write the tables, and print the rows that fall short."""
    rows: list[Row] = []

    def add(found: Row) -> None:
        rows.append(found | {"machine": machine()})
        print(line(found), flush=True)

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for found in losses.rows():
        add(found)
    times = growth.table()
    for found in [*growth.slopes(times), *recall.rows(), *precision.rows()]:
        add(found)
    training.one_thread()
    parts = training.parts()
    for found in [*training.rows(), *training.evaluation(parts), *network.rows()]:
        add(found)
    folder = ROOT / "results"
    write_csv(folder / "benchmarks.csv", pd.DataFrame(rows))
    write_csv(folder / "benchmarks_growth.csv", times)
    write_csv(folder / "benchmarks_parts.csv", parts)
    print(parts.round(3).to_string(index=False))
    short = [line(found) for found in rows if found["holds"] is False]
    print(
        "\n".join(["", f"{len(short)} fall short:", *short] if short else ["", "every bar holds"])
    )


if __name__ == "__main__":
    main()
