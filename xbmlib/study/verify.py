"""Train some of the stored runs anew, and compare what they measure with what is stored.

python -m xbmlib.study.verify [--minutes 5] [--seed 0]
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch

from xbmlib.storage import StorageError
from xbmlib.study.parallel import run_all
from xbmlib.study.refusal import as_command
from xbmlib.training.provenance import processor, trained_on
from xbmlib.training.store import Run, RunStore

# Another machine may be slower than the one that a run's seconds were measured on.
SLOWER = 2.0


def choose(store: RunStore, minutes: float, seed: int, workers: int) -> list[Run]:
    """Runs in a random order, as many as are estimated to take no longer than ``minutes``.

    Args:
        store: the stored runs.
        minutes: of all runs together.
        seed: of the order.
        workers: number of runs in parallel.

    Returns:
        The chosen runs; the quickest alone where none is quick enough.

    Raises:
        StorageError: no stored run, or a damaged one.
    """
    runs = [store.load(id) for id in store.ids() if store.done(id)]
    if not runs:
        raise StorageError(f"{store.folder}: no finished run; `make reproduce` trains them")
    left = 60 * minutes * workers / SLOWER
    found = []
    for run in random.Random(seed).sample(runs, len(runs)):
        # A run takes a single core: it has to fit by itself, too.
        seconds = float(run.provenance["seconds"])
        if seconds <= min(left, 60 * minutes / SLOWER):
            left -= seconds
            found.append(run)
    return found or [min(runs, key=lambda run: float(run.provenance["seconds"]))]


def compare(stored: Run, again: Run) -> dict[str, object]:
    """One run beside the same run trained anew.

    Returns:
        id, data, loss, batch, ratio, updates; equal: whether every measurement is, bit for bit; R@1
        (percent, stored) and change (points, anew minus stored); trained_on, of the stored run.
    """
    e, made = stored.experiment, stored.provenance
    return {
        "id": stored.id, "data": e.data, "loss": e.loss, "batch": e.batch, "ratio": e.ratio,
        "updates": e.steps,
        "equal": stored.history == again.history and stored.metrics.equals(again.metrics),
        "R@1": 100 * stored.recall["R@1"],
        "change": 100 * (again.recall["R@1"] - stored.recall["R@1"]),
        "trained_on": f"{trained_on(made)}, torch {made['torch']}",
    }  # fmt: skip


def main() -> None:
    """Train, compare, and print the table and how many runs are equal bit for bit."""
    parser = argparse.ArgumentParser(prog="python -m xbmlib.study.verify", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="of all runs together")
    parser.add_argument("--seed", type=int, default=0, help="of the choice")
    given = parser.parse_args()
    if not 0 < given.minutes < math.inf:
        sys.exit(f"--minutes {given.minutes:g}: give a number above 0")
    with as_command(), tempfile.TemporaryDirectory() as folder:
        chosen = choose(RunStore(), given.minutes, given.seed, len(os.sched_getaffinity(0)))
        anew = run_all([run.experiment for run in chosen], RunStore(Path(folder)))
    table = pd.DataFrame([compare(*pair) for pair in zip(chosen, anew, strict=True)])
    print(table.to_string(index=False, float_format="{:.2f}".format))
    print(
        f"{table['equal'].sum()} of {len(table)} runs equal bit for bit; R@1 changes by at most "
        f"{table['change'].abs().max():.2f} points, trained anew on {processor()}, torch "
        f"{torch.__version__}"
    )


if __name__ == "__main__":
    main()
