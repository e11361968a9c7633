"""Measure every ratio and its bar in one run: ``python -m benchmarks``, or ``make bench``.

Writes results/benchmarks.csv, results/benchmarks_growth.csv and results/benchmarks_parts.csv, and
prints each ratio with its bar, and why it falls short where it does. All cores for the losses and
recall, one for a training step. Cost, input, scaling and waiting are separate:
``python -m benchmarks.cost`` and so on.
"""

from __future__ import annotations

import os

import pandas as pd
import torch

from benchmarks import growth, losses, network, precision, recall, training
from benchmarks.measure import Row, closing, line, machine
from xbmlib.storage import ROOT, write_csv


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
    print(closing(rows))


if __name__ == "__main__":
    main()
