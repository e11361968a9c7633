"""What is killed: a training, a pack and an export, each of which marks its progress in a file."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from pandas import DataFrame

from xbmlib import datasets
from xbmlib.datasets import Retrieval
from xbmlib.datasets.pack import pack
from xbmlib.study import notebook
from xbmlib.training import checkpoint
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import run_experiment
from xbmlib.training.store import RunStore
from xbmlib.training.trainer import Trainer

SMALL = Experiment(batch=8, k=2, steps=60, start=10, ratio=0.05, dim=16, log_every=1, drift=(7,),
                   probes=8)  # fmt: skip
MEASURED = SMALL.replace(steps=12, start=3, evaluations=12)
# Images of the pack's data set, and of one of its shards.
IMAGES, PER_SHARD = 48, 4


def announce(owner: Any, name: str, marks: Path) -> None:
    """Have every call of a function or method append the time to a file first, in 8 bytes."""
    call = getattr(owner, name)

    def announced(*arguments: Any, **named: Any) -> Any:
        with marks.open("ab", buffering=0) as file:
            file.write(struct.pack("d", time.monotonic()))
        return call(*arguments, **named)

    setattr(owner, name, announced)


def few(name: str, split: str = "test", view: str = "rendered") -> Retrieval:
    """The first classes of hanzi: real images, few of them."""
    whole = _LOAD("hanzi")
    train, query = (s.of_classes(s.classes[:60]) for s in (whole.train, whole.query))
    return Retrieval(name, train, query, None, (1, 10), "small")


_LOAD = datasets.load


def train(e: Experiment, every: int, owner: Any, name: str, folder: Path, marks: Path) -> None:
    """Train one run on few images, with a checkpoint every so many steps."""
    torch.set_num_threads(1)
    datasets.load = few
    announce(owner, name, marks)
    run_experiment(e, RunStore(folder / "runs"), checkpoint_steps=every)


def make_pack(folder: Path, marks: Path) -> None:
    """Pack the tree beside the folder, ``data``, reading by two processes."""
    torch.set_num_threads(1)
    announce(os, "replace", marks)
    pack("sop", "paper", folder.parent / "data", folder, per_shard=PER_SHARD, workers=2)


@dataclass(frozen=True)
class Named:
    """The names of the exported files."""

    notebook = "storm"
    profile: str = "smoke"
    selected: dict[str, Any] = field(default_factory=dict)


def export(folder: Path, marks: Path) -> None:
    """Export three figures with their data, and a verdict, as a notebook does."""
    announce(os, "replace", marks)
    notebook.ROOT = folder
    numbers = DataFrame({"x": range(1000), "y": [i**0.5 for i in range(1000)]})
    for part in ("", "second", "third"):
        figure = Figure()
        figure.subplots().plot(numbers["x"], numbers["y"])
        notebook.export(figure, numbers, Named(), part)
    said = dict.fromkeys(("claim", "paper", "ours", "rule", "data"), "words")
    notebook.conclude([notebook.Verdict(**said, outcome="agrees", seeds=1)], Named())


VICTIMS: dict[str, Callable[[Path, Path], None]] = {
    "training": partial(train, SMALL, 7, Trainer, "update"),
    "evaluation": partial(train, MEASURED, 2, Trainer, "evaluate"),
    "saving": partial(train, SMALL.replace(steps=30), 1, checkpoint, "write_state"),
    "packing": make_pack,
    "export": export,
}


def work(name: str, folder: Path, marks: Path) -> None:
    """Do the work of a victim, in a process that starts with this."""
    VICTIMS[name](folder, marks)
