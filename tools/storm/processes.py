"""Processes that are killed: started, awaited, and looked for afterwards."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

# Its server imports the library once, and torch's compiler, which torch imports with the first
# optimiser; a process forked from there starts in milliseconds.
CONTEXT = mp.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tools.storm.victims", "torch._dynamo"])
# Runs a command in mounts of its own, which end with it.
ISOLATED = ["unshare", "--user", "--map-root-user", "--mount"]
PATIENCE = 300.0  # seconds that anything here may take


def start(target: Callable[..., None], log: Path, *arguments: Any) -> Any:
    """Start ``target(*arguments)`` in a session of its own, its output in a file."""
    process = CONTEXT.Process(target=_in_session, args=(target, log, arguments))
    process.start()
    # A start in another thread would poll it too, and one of the two lose its exit code.
    mp.process._children.discard(process)  # type: ignore[attr-defined]
    return process


def _in_session(target: Callable[..., None], log: Path, arguments: tuple[Any, ...]) -> None:
    os.setsid()
    # As in a command: its own processes are forked, and not children of another server.
    mp.set_start_method("fork", force=True)
    with log.open("ab", buffering=0) as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    target(*arguments)


def wait(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def members(session: int) -> list[int]:
    """The processes of a session, zombies left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # After the name, which may hold spaces: state, parent, group, session.
            state, _, _, its = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(its) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def ended(session: int, patience: float = 30.0) -> bool:
    """Whether every process of a session ends by itself in time; otherwise they are killed."""
    if wait(lambda: not members(session), patience):
        return True
    for pid in members(session):
        os.kill(pid, signal.SIGKILL)
    return False


@cache
def can_mount() -> bool:
    """Whether a process may have mounts of its own here."""
    try:
        return not subprocess.run([*ISOLATED, "true"], capture_output=True, check=False).returncode
    except OSError:
        return False
