"""Processes that end with the one that started them, however that ends."""

from __future__ import annotations

import multiprocessing as mp
import os
import shutil
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing import connection, util

_AT_ONCE = partial(os._exit, 1)


def follow_parent(end: Callable[[], object] = _AT_ONCE) -> None:
    """Let this process end as soon as its parent has ended, even if that was killed.

    Called by a process of :mod:`multiprocessing` when it starts; elsewhere it does nothing. One
    that is left to itself may wait for ever to pass on what nobody reads.

    Args:
        end: ends the process; called in a thread of its own, once the folder of the parent's
            sockets is removed.
    """
    parent = mp.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel, end), daemon=True).start()


def _follow(sentinel: int, end: Callable[[], object]) -> None:
    connection.wait([sentinel])
    # A parent that was killed has left it, or this process its own.
    shutil.rmtree(util.get_temp_dir(), ignore_errors=True)
    end()
