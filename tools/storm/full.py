"""A disk that fills up in the middle of a run: one line that says so; then, with room, the run."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from random import Random

from tools.storm.processes import CONTEXT, ISOLATED, PATIENCE, can_mount
from tools.storm.trials import Trials, contents, difference
from tools.storm.victims import SMALL, few
from xbmlib import datasets
from xbmlib.storage import CHECKOUT, StorageError
from xbmlib.training.callbacks import Callback, Step, Training
from xbmlib.training.run import run_experiment
from xbmlib.training.store import RunStore

import torch  # isort: skip

EVERY = 7  # steps between two checkpoints
ROOM = 64 << 20  # of the small disk, which holds what a run asks for at its start
NEEDED = 20 << 20  # above a checkpoint's 14 MB, so that some trials fit


class FillUp(Callback):
    """At one step, leaves room for so many bytes: by a file, or by the limit of a file's size."""

    def __init__(self, at: int, left: int, ballast: Path | None) -> None:
        self.at, self.left, self.ballast = at, left, ballast

    def on_step(self, trainer: Training, step: Step) -> None:
        """Fill the disk if it is time."""
        if trainer.step != self.at:
            return
        if self.ballast is None:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.left, hard))
            return
        free = os.statvfs(self.ballast.parent).f_bavail * os.statvfs(self.ballast.parent).f_bsize
        with self.ballast.open("wb") as file:
            for start in range(0, max(0, free - self.left), 1 << 20):
                file.write(bytes(min(1 << 20, free - self.left - start)))


def trial(disk: Path, out: Path, at: int, left: int, mounted: bool) -> None:
    """One run on a disk that fills up, and again with room; what happened goes to ``out``."""
    if mounted:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(disk)]
        subprocess.run(mount, check=True)
    torch.set_num_threads(1)
    datasets.load = few
    ballast = disk / "ballast" if mounted else None
    store, said = RunStore(disk / "runs"), "fitted"
    try:
        run_experiment(SMALL, store, checkpoint_steps=EVERY, callbacks=[FillUp(at, left, ballast)])
    except StorageError as error:
        words = ("disk is full", "file size limit", "are needed")
        said = "refused" if any(w in str(error) for w in words) else f"raised {error}"
        said = said if "\n" not in str(error) else f"raised {error}"
    if ballast is not None:
        ballast.unlink(missing_ok=True)
    else:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    half = [*disk.rglob(".*.tmp")]
    run_experiment(SMALL, store, checkpoint_steps=EVERY)
    fault = difference(disk, contents(out.parent / "whole"))
    out.write_text(f"raised: left {half[0]}" if half else f"raised: {fault}" if fault else said)


def whole(folder: Path) -> None:
    """The run with room."""
    torch.set_num_threads(1)
    datasets.load = few
    run_experiment(SMALL, RunStore(folder / "runs"), checkpoint_steps=EVERY)


def full(place: Path, chance: Random, count: int) -> Trials:
    """Fill the disk at a random step, so that room for a random number of bytes is left."""
    undisturbed = CONTEXT.Process(target=whole, args=(place / "whole",))
    undisturbed.start()
    undisturbed.join(PATIENCE)
    trials, refused, mounted = Trials(), 0, can_mount()
    for number in range(count):
        disk, out = place / f"disk {number}", place / f"{number}.txt"
        disk.mkdir()
        numbers = [chance.randrange(1, SMALL.steps), chance.randrange(NEEDED), int(mounted)]
        command = [sys.executable, "-m", "tools.storm.full", disk, out, *numbers]
        command = [*(ISOLATED if mounted else []), *map(str, command)]
        done = subprocess.run(
            command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        said = out.read_text() if out.is_file() else f"raised: {done.stderr[-500:]}"
        refused += said == "refused"
        trials.add(said if said.startswith("raised") else "")
    how = f"a tmpfs of {ROOM >> 20} MiB" if mounted else "the limit of a file's size (RLIMIT_FSIZE)"
    trials.reach = f"{how}: {refused} runs ended in one line, {count - refused} still fitted"
    return trials


if __name__ == "__main__":
    disk, out, at, left, mounted = sys.argv[1:]
    trial(Path(disk), Path(out), int(at), int(left), mounted == "1")
