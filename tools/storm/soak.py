"""A long run whose memory stays flat."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import torch
from torch import nn

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


def soak(place: Path, chance: Random, count: int) -> Trials:
    """Train so many steps, with checkpoints and evaluations, and watch the process's memory."""
    data, watch = few("hanzi"), Memory(max(1, count // 40))
    e = Experiment(batch=8, k=2, steps=count, start=count // 10, ratio=0.1, dim=16, log_every=100,
                   evaluations=10, precision="fp32", seed=chance.randrange(1 << 32))  # fmt: skip
    torch.manual_seed(e.seed)
    net = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64, 16))
    trainer = Trainer(e, data, place / "state.pt", model=net, callbacks=[watch])
    trainer.train(max(1, count // 40))
    first = round(WARM * len(watch.memory))
    memory, files = watch.memory[first:], watch.files[first:]
    trials = Trials(
        f"{count:,} steps, 40 checkpoints: {memory[0]:.0f} MiB after a tenth, "
        f"{memory[-1]:.0f} at the end, {max(memory):.0f} at most"
    )
    grown = max(memory) - memory[0]
    trials.add(f"{grown:.1f} MiB more" if grown > SLACK else "")
    if len(set(files)) > 1:
        trials.faults.append(f"{min(files)} to {max(files)} open files")
    return trials
