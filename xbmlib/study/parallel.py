"""Many runs side by side: one single-threaded process a core, or one process on a GPU."""

from __future__ import annotations

import multiprocessing as mp
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import connection
from queue import Empty, SimpleQueue
from typing import Any

import torch

from xbmlib.study import preflight
from xbmlib.study.progress import Progress
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import identify_all, run_experiment
from xbmlib.training.store import Run, RunStore


def run_all(experiments: Iterable[Experiment], store: RunStore | None = None) -> list[Run]:
    """Load or train each experiment; the order of the results is that of the experiments.

    What is in the store is loaded, equal experiments are run once, and the rest share the cores:
    two single-threaded runs side by side finish sooner than one after the other on both cores,
    and a run's numbers do not depend on what ran beside it.

    Args:
        experiments: what to run, any number.
        store: where runs are kept; ``results/runs`` by default.
    """
    store = store or RunStore()
    wanted = list(experiments)
    # Every mistake is told before any work starts.
    ids = identify_all(wanted)
    todo = {id: e for id, e in zip(ids, wanted, strict=True) if not store.done(id)}
    if todo:
        _train(list(todo.values()), store)
    return [store.load(id) for id in ids]


def _train(todo: list[Experiment], store: RunStore) -> None:
    cuda = torch.cuda.is_available()
    workers = 1 if cuda else min(len(todo), len(os.sched_getaffinity(0)))
    preflight.check(todo, store.folder, workers)
    context = mp.get_context("spawn")
    with (
        context.Manager() as manager,
        Progress(sum(e.steps for e in todo), f"{len(todo)} runs") as bar,
    ):
        told = manager.Queue()
        with ProcessPoolExecutor(
            workers, context, initializer=_start_worker, initargs=(told,)
        ) as pool:
            futures = [pool.submit(_work, e, store) for e in todo]
            try:
                while not all(f.done() for f in futures):
                    with suppress(Empty):
                        bar.update(told.get(timeout=1))
                    if any(f.done() and f.exception() for f in futures):
                        break
                for future in futures:
                    if future.done():
                        future.result()
            except BaseException:
                # What is running is checkpointed and goes on next time: no use in waiting.
                pool.shutdown(wait=False, cancel_futures=True)
                for process in (pool._processes or {}).values():
                    process.terminate()
                raise


_told: Any = SimpleQueue()


def single_threaded() -> None:
    """Give this process one thread, unless it has a GPU: a run's last bits depend on how many."""
    if not torch.cuda.is_available():
        torch.set_num_threads(1)


def _start_worker(told: Any) -> None:
    global _told
    _told = told
    single_threaded()
    parent = mp.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    """End with the parent, even when that was killed and could not say so."""
    connection.wait([sentinel])
    os._exit(1)


def _work(experiment: Experiment, store: RunStore) -> None:
    pending = 0

    def progress(steps: int) -> None:
        # A message for each step would cost as much as a small step.
        nonlocal pending
        pending += steps
        if pending >= 20:
            _told.put(pending)
            pending = 0

    run_experiment(experiment, store, progress=progress)
    _told.put(pending)
