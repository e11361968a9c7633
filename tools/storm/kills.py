"""SIGKILL at a random moment; then the same again, undisturbed, to the same bytes."""

from __future__ import annotations

import signal
import time
from array import array
from bisect import bisect
from pathlib import Path
from random import Random

from tests.datasets.trees import sop_tree
from tools.storm.processes import PATIENCE, ended, start, wait
from tools.storm.trials import Trials, contents, difference, half_written
from tools.storm.victims import IMAGES, work

# What the victims mark.
UNITS = {"training": "updates", "evaluation": "evaluations", "saving": "checkpoints",
         "packing": "files", "export": "files"}  # fmt: skip


def killed(name: str, place: Path, chance: Random, count: int) -> Trials:
    """Kill one of :data:`tools.storm.victims.VICTIMS` at random moments of its work.

    Args:
        name: of the victim.
        place: folder for all files.
        chance: of the moments: uniform in time from the victim's first mark to its end.
        count: number of kills.
    """
    sop_tree(place / "data", 6, IMAGES // 6)
    trials = Trials()
    marks = _completed(name, place / "whole")
    whole, sessions, cut, writing = contents(place / "whole"), [], set(), 0
    for number in range(count):
        folder = place / str(number)
        moment = chance.uniform(marks[0], marks[-1])
        calls = bisect(marks, moment)
        session = _kill(name, folder, calls, moment - marks[calls - 1])
        sessions.append(session)
        if session:
            cut.add(calls)
            writing += any(half_written(folder))
        _completed(name, folder)
        trials.add(difference(folder, whole))
    # Left by undisturbed work already, they would be no difference.
    trials.faults += [f"{name} left" for name in whole if Path(name).name.startswith(".")]
    left = [s for s in sessions if s and not ended(s)]
    trials.faults += [f"processes of session {s} left" for s in left]
    trials.reach = (
        f"in {len(cut)} of {len(marks) - 1} {UNITS[name]}, {writing} in the midst of a write"
    )
    late = sessions.count(0)
    if late:
        trials.reach += f", {late} had ended before"
    return trials


def _kill(victim: str, folder: Path, calls: int, delay: float) -> int:
    """Start a victim, kill it so long after a mark; its session, or 0 where it had ended."""
    marks = folder.with_suffix(".killed")
    process = start(work, folder.with_suffix(".log"), victim, folder, marks)
    wait(lambda: _count(marks) >= calls or process.exitcode is not None)
    time.sleep(delay)
    process.kill()
    process.join()
    return process.pid if process.exitcode == -signal.SIGKILL else 0


def _completed(victim: str, folder: Path) -> list[float]:
    """Let a victim do its work; the times of its marks, and that of its end.

    Raises:
        RuntimeError: it fails.
    """
    marks, log = folder.with_suffix(".marks"), folder.with_suffix(".log")
    process = start(work, log, victim, folder, marks)
    process.join(PATIENCE)
    if process.exitcode != 0:
        raise RuntimeError(f"ended with {process.exitcode}: {log.read_text()[-2000:]}")
    # Nothing was left to do after a late kill.
    began = array("d", marks.read_bytes()) if marks.is_file() else ()
    return [*began, time.monotonic()]


def _count(marks: Path) -> int:
    return marks.stat().st_size // 8 if marks.is_file() else 0
