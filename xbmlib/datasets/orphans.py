"""Processes that end with the one that started them, however that ends."""

from __future__ import annotations

import multiprocessing as mp
import os
import threading
from multiprocessing import connection


def follow_parent() -> None:
    """Let this process end as soon as its parent has ended, even if that was killed.

    Called by a process of :mod:`multiprocessing` when it starts; elsewhere it does nothing. One
    that is left to itself may wait for ever to pass on what nobody reads.
    """
    parent = mp.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
