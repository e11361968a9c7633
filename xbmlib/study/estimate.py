"""How long runs will take, by what stored runs have taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from xbmlib.storage import StorageError
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.store import RunStore

Rates = dict[tuple[str, int], float]


class Quicker(NamedTuple):
    """What a reader can ask for in place of longer runs.

    Attributes:
        how: to ask for it, such as "-p profile quick".
        todo: those of its runs that are to be trained.
    """

    how: str
    todo: Sequence[Experiment]


def announcement(
    todo: Sequence[Experiment],
    total: int,
    store: RunStore,
    workers: int,
    quicker: Quicker | None = None,
) -> str:
    """One line on the runs that are asked for, such as "12 runs: 10 stored, 2 to train".

    Args:
        todo: the runs to train; without any there is no estimate.
        total: number of runs, stored or not.
        store: where stored runs are.
        workers: number of runs in parallel.
        quicker: added with its own minutes, as in "about 6 minutes; `-p profile quick`: 1".
    """
    line = (
        f"{total} run{'s' if total > 1 else ''}: {total - len(todo)} stored, {len(todo)} to train"
    )
    if not todo:
        return line
    # Those of every stored run take seconds to read.
    known = rates(store)
    seconds = estimate(todo, known, workers)
    if seconds is None:
        return line
    minutes = _minutes(seconds)
    line = f"{line}, about {minutes:,} minute{'s' if minutes > 1 else ''}"
    instead = None if quicker is None else estimate(quicker.todo, known, workers)
    if quicker is None or instead is None:
        return line
    return f"{line}; `{quicker.how}`: {_minutes(instead) if instead else 0:,}"


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))


def rates(store: RunStore) -> Rates:
    """Seconds per update of the stored runs: the median of each backbone and batch size.

    A run that cannot be read, or is of another version's experiment, is left out: whoever needs it
    is refused by its own name.
    """
    found: dict[tuple[str, int], list[float]] = {}
    for id in store.ids():
        try:
            run = store.load(id)
        except (StorageError, ConfigError):
            continue
        key = run.experiment.backbone, run.experiment.batch
        found.setdefault(key, []).append(run.provenance["seconds"] / run.experiment.steps)
    return {key: median(values) for key, values in found.items()}


def estimate(todo: Sequence[Experiment], rates: Rates, workers: int) -> float | None:
    """Seconds until the last of the runs has finished.

    A batch size that no stored run has takes the time of the nearest, in proportion to the images.

    Returns:
        None where no stored run has the backbone of one of them.
    """
    each = []
    for e in todo:
        known = [batch for backbone, batch in rates if backbone == e.backbone]
        if not known:
            return None
        near = min(known, key=lambda batch: abs(math.log(batch / e.batch)))
        each.append(e.steps * rates[e.backbone, near] * e.batch / near)
    # No split over the workers is quicker than an even one, nor than the longest run.
    return max(sum(each) / workers, max(each, default=0.0))
