"""Processes that clean up when SIGTERM or SIGHUP ends them, as they do after Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from xbmlib.datasets.orphans import follow_parent

# Seconds that a worker has to clean up once its parent has ended.
GRACE = 30
_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def end_in_order() -> list[int]:
    """Let SIGTERM and SIGHUP end this process as SystemExit, with the exit status of a shell.

    Returns:
        The signals that now do: one that is ignored, as SIGHUP is under ``nohup``, stays ignored,
        and none is taken outside of the main thread, which alone receives them.
    """
    if threading.current_thread() is not threading.main_thread():
        return []
    taken = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _end)
    return taken


@contextmanager
def ending_in_order() -> Iterator[None]:
    """:func:`end_in_order` for a block; from the first such signal on, further ones are ignored."""
    taken = end_in_order()
    try:
        yield
    finally:
        for number in taken:
            if signal.getsignal(number) is _end:
                signal.signal(number, signal.SIG_DFL)


def _end(number: int, _: Any) -> None:
    # A second signal would interrupt what the first has begun to clean up.
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


def start_worker() -> None:
    """Let the worker of a pool end in order, on a signal or once its parent has ended."""
    end_in_order()
    follow_parent(_leave)


def _leave() -> None:
    """End this process in order, or at once if that takes too long."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def work(function: Callable[..., object], *arguments: Any) -> None:
    """Call a function in a worker, which a signal then ends; a pool would give it another call."""
    try:
        function(*arguments)
    except SystemExit as ended:
        if isinstance(ended.code, int) and ended.code > 128:
            os._exit(ended.code)
        raise


def stop(pool: ProcessPoolExecutor) -> None:
    """Cancel what has not started, and have the workers end."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
