"""Many runs in parallel: one single-threaded process per core, or one process on a GPU."""

from __future__ import annotations

import multiprocessing as mp
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.managers import SyncManager
from queue import Empty, SimpleQueue
from typing import Any

import torch

from xbmlib.datasets.orphans import follow_parent
from xbmlib.datasets.shared_memory import require_locks
from xbmlib.storage import require_writable
from xbmlib.study import preflight
from xbmlib.study.ending import stop
from xbmlib.study.estimate import Quicker, announcement
from xbmlib.study.progress import Progress
from xbmlib.training.experiment import Experiment
from xbmlib.training.provenance import trained_on
from xbmlib.training.run import identify_all, run_experiment
from xbmlib.training.store import Run, RunStore


def run_all(
    experiments: Iterable[Experiment],
    store: RunStore | None = None,
    quicker: Quicker | None = None,
) -> list[Run]:
    """Load or train each experiment; the order of the results is that of the experiments.

    How many are stored and how many are to be trained is printed. Stored runs are loaded, equal
    experiments are trained once, and the rest share the cores: two single-threaded runs in parallel
    finish sooner than two runs in sequence on both cores, and the numbers of a run do not depend on
    what runs in parallel. Where the runs are not all of one kind of processor, that is printed too.

    Args:
        experiments: any number of experiments.
        store: where runs are stored; ``results/runs`` by default.
        quicker: the choice that is announced where runs are to be trained; its own may be stored.
    """
    store = store or RunStore()
    wanted = list(experiments)
    # Every invalid experiment is reported before any work starts.
    ids = identify_all(wanted)
    todo = _missing(ids, wanted, store)
    if todo:
        _train(list(todo.values()), len(set(ids)), store, quicker)
    elif ids:
        print(announcement([], len(set(ids)), store, workers=1), flush=True)
    runs = {id: store.load(id) for id in ids}
    if several := processors(runs.values()):
        print(several, flush=True)
    return [runs[id] for id in ids]


def _missing(
    ids: Iterable[str], experiments: Iterable[Experiment], store: RunStore
) -> dict[str, Experiment]:
    """The experiments without a stored run, by id."""
    return {id: e for id, e in zip(ids, experiments, strict=True) if not store.done(id)}


def processors(runs: Iterable[Run]) -> str:
    """What runs were trained on, in one line; nothing where it is the same for all.

    Products of different processors round differently, so that equal runs may differ by as much as
    two seeds do.
    """
    kinds = Counter(trained_on(run.provenance) for run in runs)
    if len(kinds) < 2:
        return ""
    return "trained on " + "; ".join(f"{kind}: {n}" for kind, n in kinds.most_common())


def _train(todo: list[Experiment], total: int, store: RunStore, quicker: Quicker | None) -> None:
    cuda = torch.cuda.is_available()
    workers = 1 if cuda else min(len(todo), len(os.sched_getaffinity(0)))
    require_writable(store.folder)
    require_locks()
    preflight.check(todo, store.folder, workers)
    if quicker is not None:
        missing = _missing(identify_all(quicker.todo), quicker.todo, store)
        quicker = quicker._replace(todo=list(missing.values()))
    print(announcement(todo, total, store, workers, quicker), flush=True)
    context = mp.get_context("spawn")
    manager = SyncManager(ctx=context)
    # Otherwise it would outlive this process if that is killed.
    manager.start(follow_parent)
    with (
        manager,
        Progress(sum(e.steps for e in todo), f"{len(todo)} runs") as bar,
    ):
        steps_done = manager.Queue()
        with ProcessPoolExecutor(
            workers, context, initializer=_start_worker, initargs=(steps_done,)
        ) as pool:
            futures = [pool.submit(_work, e, store) for e in todo]
            try:
                while not all(f.done() for f in futures):
                    with suppress(Empty):
                        bar.update(steps_done.get(timeout=1))
                    if any(f.done() and f.exception() for f in futures):
                        break
                for future in futures:
                    if future.done():
                        future.result()
            except BaseException:
                # Running experiments are checkpointed and resume next time: no need to wait.
                stop(pool)
                raise


# Of a worker: where it reports the steps that it has done.
_steps_done: Any = SimpleQueue()


def single_threaded() -> None:
    """Limit this process to one thread, unless it has a GPU.

    The last bits of a run's numbers depend on the number of threads.
    """
    if not torch.cuda.is_available():
        torch.set_num_threads(1)


def _start_worker(steps_done: Any) -> None:
    global _steps_done
    _steps_done = steps_done
    single_threaded()
    follow_parent()


def _work(experiment: Experiment, store: RunStore) -> None:
    pending = 0

    def progress(steps: int) -> None:
        # One message per step would cost as much as a small step.
        nonlocal pending
        pending += steps
        if pending >= 20:
            _steps_done.put(pending)
            pending = 0

    run_experiment(experiment, store, progress=progress)
    _steps_done.put(pending)
