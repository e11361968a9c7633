"""Four processes that want one run: it is trained once, and a killed owner's work is taken over."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

from tools.storm.processes import PATIENCE, start, wait
from tools.storm.trials import Trials, contents, difference
from tools.storm.victims import SMALL, train
from xbmlib.training.trainer import Trainer

RIVALS, EVERY = 4, 7


def compete(folder: Path, marks: Path) -> None:
    """Train the run, or wait for it; each update adds the number of its process to a folder."""
    marks.mkdir(exist_ok=True)
    train(SMALL, EVERY, Trainer, "update", folder, marks / f"{os.getpid()}")


def _updates(marks: Path) -> dict[int, int]:
    """Updates by process, in the order of their first."""
    files = sorted(marks.glob("*"), key=lambda p: p.stat().st_ctime_ns)
    return {int(p.name): p.stat().st_size // 8 for p in files}


def rivals(place: Path, chance: Random, count: int, *, kill: bool) -> Trials:
    """Let four processes want one run, so often.

    Args:
        place: folder for all files.
        chance: of the moment at which the first owner is killed.
        count: number of runs.
        kill: whether to kill the first owner.
    """
    trials, again = Trials(), []
    _join(place / "whole", [start(compete, place / "log", place / "whole", place / "marks")])
    whole = contents(place / "whole")
    for number in range(count):
        folder, marks = place / str(number), place / f"{number}.marks"
        started = [start(compete, place / "log", folder, marks) for _ in range(RIVALS)]
        if kill:
            at = chance.randrange(1, SMALL.steps)
            wait(lambda marks=marks, at=at: sum(_updates(marks).values()) >= at)
            owner = next(iter(_updates(marks)))
            next(p for p in started if p.pid == owner).kill()
        fault = _join(folder, started, allowed=int(kill))
        done = _updates(marks)
        # Steps after the killed owner's latest checkpoint are trained again.
        again.append(sum(done.values()) - SMALL.steps)
        if len(done) != 1 + kill or not 0 <= again[-1] <= kill * EVERY:
            fault = fault or f"{len(done)} processes made {sum(done.values())} updates"
        trials.add(fault or difference(folder, whole))
    trials.reach = f"{RIVALS} processes each, {SMALL.steps} updates"
    if kill:
        trials.reach += f", {min(again)} to {max(again)} of them made again after the kill"
    return trials


def _join(folder: Path, started: list[object], allowed: int = 0) -> str:
    """Wait for processes, of which so many may have been killed; the fault, if there is one."""
    deadline = time.monotonic() + PATIENCE
    for process in started:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
    codes = [p.exitcode for p in started]
    failed = sorted(c is None or c != 0 for c in codes)
    return f"exit codes {codes}" if sum(failed) > allowed else ""
