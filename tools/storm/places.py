"""Odd places to run in: each gives the numbers of an ordinary one, or one line with the remedy."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.datasets.trees import sop_tree
from tools.storm.processes import ISOLATED, PATIENCE, can_mount
from tools.storm.trials import Trials, contents, difference
from xbmlib.storage import CHECKOUT

# A short run on the bundled images, and one on 600 files in batches too large for 64 MiB.
BUNDLED = {"split": "smoke", "steps": 12, "start": 3, "batch": 8, "k": 2, "ratio": 0.01,
           "dim": 16, "log_every": 1}  # fmt: skip
FILES = BUNDLED | {"data": "sop", "split": "test", "view": "paper", "batch": 6, "ratio": 0.1,
                   "steps": 4}  # fmt: skip
PHOTOS = 100  # of each of 6 classes


@dataclass
class Command:
    """One run of an experiment on the command line, and how it is started.

    Attributes:
        experiment: its file.
        store: folder of the runs.
        environment: of the process.
        mounts: shell commands that come first, in mounts of its own.
        prepare: called in the process first.
        refused: words of the one line that it has to end with, in place of a run.
    """

    experiment: Path
    store: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    mounts: str = ""
    prepare: Callable[[], object] | None = None
    refused: str = ""

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run it and wait for its end."""
        module = [sys.executable, "-m", "xbmlib.train", str(self.experiment)]
        command = [*module, "--store", str(self.store)]
        if self.mounts:
            command = [*ISOLATED, "sh", "-c", f'{self.mounts} && exec "$@"', "sh", *command]
        own = {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command, cwd=self.experiment.parent, env=self.environment | own, timeout=PATIENCE,
            preexec_fn=self.prepare, capture_output=True, text=True, check=False,
        )  # fmt: skip


def _shared_memory(command: Command) -> None:
    command.mounts = "mount -t tmpfs -o size=64m none /dev/shm"


def _no_git(command: Command) -> None:
    command.environment["PATH"] = "/nowhere"


def _no_home(command: Command) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TORCH_HOME"):
        command.environment.pop(name, None)


def _strange_path(command: Command) -> None:
    command.store = command.store.with_name("a path 数 ü 'quoted' $HOME")


def _read_only(folder: Path) -> str:
    at = shlex.quote(str(folder))
    return f"mount --bind {at} {at} && mount -o remount,ro,bind {at}"


def _read_only_checkout(command: Command) -> None:
    command.mounts = _read_only(CHECKOUT)


def _read_only_store(command: Command) -> None:
    command.store.mkdir()
    command.mounts = _read_only(command.store)
    command.refused = "read-only file system"


def _one_core(command: Command) -> None:
    core = min(os.sched_getaffinity(0))
    command.prepare = lambda: os.sched_setaffinity(0, {core})


PLACES: dict[str, Callable[[Command], None]] = {
    "/dev/shm of 64 MiB": _shared_memory,
    "no git": _no_git,
    "HOME unset": _no_home,
    "a path with spaces and non-ASCII": _strange_path,
    "read-only checkout": _read_only_checkout,
    "read-only store": _read_only_store,
    "one core": _one_core,
}
OF_FILES = {"/dev/shm of 64 MiB"}


@cache
def _ordinary(of_files: bool) -> dict[str, object]:
    """The files of the run in an ordinary place."""
    with TemporaryDirectory(prefix="storm-") as place:
        command = _command(of_files, Path(place), "plain")
        done = command.run()
        if done.returncode:
            raise RuntimeError(done.stderr[-500:])
        return contents(command.store)


def _command(of_files: bool, place: Path, store: str) -> Command:
    """The run on the bundled images, or on files of its own."""
    (place / "e.json").write_text(json.dumps(FILES if of_files else BUNDLED))
    command = Command(place / "e.json", place / store)
    if of_files:
        command.environment["XBM_DATA"] = str(sop_tree(place / "data", 6, PHOTOS))
    return command


def odd(name: str, place: Path, chance: Random, count: int) -> Trials:
    """Run in an odd place, so often, for the numbers of an ordinary one.

    Args:
        name: key of :data:`PLACES`.
        place: folder for all files.
        chance: nothing here is random.
        count: number of runs.
    """
    trials, of_files = Trials(), name in OF_FILES
    for number in range(count):
        command = _command(of_files, place, f"odd {number}")
        PLACES[name](command)
        if command.mounts and not can_mount():
            return Trials("not testable here: a process may not mount")
        done = command.run()
        if command.refused:
            line = done.stderr.strip().splitlines()[-1:] or [""]
            one = done.returncode == 1 and "Traceback" not in done.stderr
            fine = one and command.refused in line[0] and str(command.store) in line[0]
            trials.add("" if fine else f"not refused: {done.stderr[-500:]}")
            trials.reach = "refused in one line with the path"
            continue
        fault = difference(command.store, _ordinary(of_files)) if not done.returncode else "failed"
        trials.add(fault and f"{fault}: {done.stderr[-500:]}")
        said = [
            row.partition("Warning: ")[2] for row in done.stderr.splitlines() if name[:8] in row
        ]
        trials.reach = said[0].partition(":")[0] if said else "the numbers of an ordinary place"
    return trials
