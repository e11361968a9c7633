"""Processes that end with the one that started them, however that ends."""

from __future__ import annotations

import multiprocessing as mp
import os
import shutil
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing import connection

_AT_ONCE = partial(os._exit, 1)


def follow_parent(end: Callable[[], object] = _AT_ONCE) -> None:
    """Let this process end as soon as its parent has ended, even if that was killed.

    Called by a process of :mod:`multiprocessing` when it starts; elsewhere it does nothing. One
    that is left to itself may wait for ever to pass on what nobody reads.

    Args:
        end: ends the process; called in a thread of its own, once the folder of this process's
            sockets, if it has made one, is removed.
    """
    parent = mp.parent_process()
    if parent is not None:
        arguments = (parent.sentinel, end, _socket_folder())
        threading.Thread(target=_follow, args=arguments, daemon=True).start()


def _follow(sentinel: int, end: Callable[[], object], inherited: str | None) -> None:
    connection.wait([sentinel])
    folder = _socket_folder()
    # An inherited one belongs to a process that may live.
    if folder is not None and folder != inherited:
        shutil.rmtree(folder, ignore_errors=True)
    end()


def _socket_folder() -> str | None:
    """What multiprocessing's own ``get_temp_dir`` returns, where it has been asked before."""
    folder: str | None = mp.current_process()._config.get("tempdir")  # type: ignore[attr-defined]
    return folder
