"""Processes that clean up when SIGTERM or SIGHUP ends them, as they do after Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from xbmlib.datasets.orphans import follow_parent

# Seconds that a worker has to clean up once its parent has ended.
GRACE = 30
# Seconds after which a signal is sent again whose SystemExit was lost.
AGAIN = 0.05
_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


# Signals that were lost, each with what sends it again.
_LOST: list[tuple[int, threading.Timer]] = []


class _Ended(SystemExit):
    """What a signal raises; knows the signal, and those that it had ignored from then on."""

    def __init__(self, number: int, ignored: list[int]) -> None:
        super().__init__(128 + number)
        self.number, self.ignored = number, ignored

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.number, self.ignored)


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
    if taken:
        sys.unraisablehook = partial(_lost, sys.unraisablehook)
    return taken


@contextmanager
def ending_in_order() -> Iterator[None]:
    """:func:`end_in_order` for a block; from the first such signal on, further ones are ignored."""
    hook = sys.unraisablehook
    taken = end_in_order()
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, again in _LOST:
            # One that was lost at the very end of the block ends it all the same.
            again.cancel()
            _end(number, None)
        for number in taken:
            if signal.getsignal(number) is _end:
                signal.signal(number, signal.SIG_DFL)


def _end(number: int, _: Any) -> None:
    # A second signal would interrupt what the first has begun to clean up.
    ignored = [other for other in _ENDING if signal.getsignal(other) is _end]
    for other in ignored:
        signal.signal(other, signal.SIG_IGN)
    _LOST.clear()
    raise _Ended(number, ignored)


def _lost(hook: Callable[[Any], object], unraisable: Any) -> None:
    """Send a signal again that arrived in a destructor, where Python drops what is raised."""
    lost = unraisable.exc_value
    if not isinstance(lost, _Ended):
        hook(unraisable)
        return
    for number in lost.ignored:
        signal.signal(number, _end)
    # Once the destructor is done: what is raised in this hook is dropped as well.
    again = threading.Timer(AGAIN, os.kill, (os.getpid(), lost.number))
    again.daemon = True
    _LOST.append((lost.number, again))
    again.start()


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
