"""A long run whose memory stays flat."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import torch
from torch import nn

from tools.storm.processes import start
from tools.storm.trials import Trials
from tools.storm.victims import few
from xbmlib.training.callbacks import Callback, Step, Training
from xbmlib.training.experiment import Experiment
from xbmlib.training.trainer import Trainer

STEPS = 20_000
# A tenth of the steps, after which nothing new is loaded or compiled; then MiB that may be added.
WARM, SLACK = 0.1, 8.0


def resident() -> float:
    """Resident memory of this process in MiB, without that of files, which the system may drop."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


class Memory(Callback):
    """Notes the resident memory and the open files every so many steps."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.memory: list[float] = []
        self.files: list[int] = []

    def on_step(self, trainer: Training, step: Step) -> None:
        """Note them if that is due."""
        if trainer.step % self.every == 0:
            self.memory.append(resident())
            self.files.append(len(os.listdir("/proc/self/fd")))


def train(place: Path, count: int, seed: int) -> None:
    """Train so many steps, with checkpoints and evaluations; what was noted goes to a file."""
    torch.set_num_threads(1)
    data, watch = few("hanzi"), Memory(max(1, count // 40))
    e = Experiment(batch=8, k=2, steps=count, start=count // 10, ratio=0.1, dim=16, log_every=100,
                   evaluations=10, precision="fp32", seed=seed)  # fmt: skip
    torch.manual_seed(e.seed)
    net = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64, 16))
    trainer = Trainer(e, data, place / "state.pt", model=net, callbacks=[watch])
    trainer.train(max(1, count // 40))
    (place / "noted.json").write_text(json.dumps([watch.memory, watch.files]))


def soak(place: Path, chance: Random, count: int) -> Trials:
    """Train in a process of its own, whose memory no other kind of fault adds to."""
    log = place / "log"
    process = start(train, log, place, count, chance.randrange(1 << 32))
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"ended with {process.exitcode}: {log.read_text()[-500:]}")
    memory, files = json.loads((place / "noted.json").read_text())
    first = round(WARM * len(memory))
    memory, files = memory[first:], files[first:]
    trials = Trials(
        f"{count:,} steps, 40 checkpoints: {memory[0]:.0f} MiB after a tenth, "
        f"{memory[-1]:.0f} at the end, {max(memory):.0f} at most"
    )
    grown = max(memory) - memory[0]
    trials.add(f"{grown:.1f} MiB more" if grown > SLACK else "")
    if len(set(files)) > 1:
        trials.faults.append(f"{min(files)} to {max(files)} open files")
    return trials
