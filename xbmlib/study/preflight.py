"""What runs at the paper's scale will cost, estimated and reported before the first starts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch.nn.functional import normalize

from xbmlib import datasets
from xbmlib.datasets.shared_memory import room_for
from xbmlib.training.checkpoint import checkpoint_size
from xbmlib.training.experiment import Experiment
from xbmlib.training.loading import TESTED, batch_bytes
from xbmlib.training.trainer import Trainer

WARM, MEASURED = 1, 2  # steps of a probe that are not timed, and that are
# Bytes of a stored run, its metrics and neighbours, estimated generously.
KEPT = 4 << 20
# Time of an image in an evaluation (forward pass), as a share of that in a training step.
FORWARD = 1 / 3
GIB = 2**30


class PreflightError(RuntimeError):
    """Runs that do not fit; the message names what is short and the remedy."""


@dataclass(frozen=True)
class Probe:
    """What one experiment of a backbone was measured to cost.

    Attributes:
        seconds: seconds per image (forward, backward, update) with a full memory.
        peak: peak GPU memory in bytes; 0 without a GPU.
        checkpoint: size of a checkpoint in bytes.
    """

    seconds: float
    peak: int
    checkpoint: int


def check(todo: Sequence[Experiment], folder: Path, workers: int = 1) -> None:
    """Print the cost of runs: images, hours, disk, memory; nothing for runs on bundled data.

    A second line says where shared memory has too little room for the processes that read ahead.

    Args:
        todo: experiments that are about to run.
        folder: where their results and checkpoints are written.
        workers: number of runs in parallel.

    Raises:
        PreflightError: the disk is too small, or a step does not fit into GPU memory.
    """
    large = [e for e in todo if e.view != "rendered"]
    if not large:
        return
    probes: dict[str, Probe] = {
        name: probe(_largest(large, name)) for name in sorted({e.backbone for e in large})
    }
    trained = sum(e.steps * e.batch for e in large)
    hours = sum(probes[e.backbone].seconds * _work(e) for e in large) / 3600 / workers
    disk = KEPT * len(large) + workers * max(p.checkpoint for p in probes.values())
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    nets = "; ".join(f"{name} {1 / p.seconds:,.0f} images/s" for name, p in probes.items())
    print(
        f"{len(large)} runs, {trained:,} training images: about {hours:,.1f} hours ({nets}, "
        f"measured over {MEASURED} steps; an evaluated image counts a third); "
        f"disk {disk / GIB:.1f} of {free / GIB:.0f} GiB free; {_memory(probes)}",
        flush=True,
    )
    if shortage := _shared_memory(large, workers):
        print(shortage, flush=True)
    if disk > free:
        raise PreflightError(
            f"{disk / GIB:.1f} GiB are needed in {folder} and {free / GIB:.1f} are free: make "
            "room, or put the results elsewhere with XBM_ROOT"
        )


def _work(e: Experiment) -> float:
    """Training images of a run, plus evaluated ones weighted by ``FORWARD``."""
    data = datasets.load(e.data, e.split, e.view)
    tested = len(data.query) + (0 if data.gallery is None else len(data.gallery))
    return e.steps * e.batch + FORWARD * e.evaluations * tested


def _shared_memory(large: Iterable[Experiment], runs: int) -> str:
    """What :func:`xbmlib.datasets.shared_memory.room_for` says of the largest batch of any run."""
    held = 0
    for e in large:
        data = datasets.load(e.data, e.split, e.view)
        batches = [(data.train, e.batch), (data.query, TESTED)]
        held = max(held, *(batch_bytes(images, size) for images, size in batches))
    return room_for(held, runs)[1]


def _largest(experiments: Iterable[Experiment], backbone: str) -> Experiment:
    """The experiment of a backbone that takes the most memory."""
    return max(
        (e for e in experiments if e.backbone == backbone), key=lambda e: (e.batch, e.ratio, e.dim)
    )


def probe(e: Experiment) -> Probe:
    """Time a few steps of an experiment, with its memory full from the start.

    Raises:
        PreflightError: a step does not fit into GPU memory.
    """
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    data = datasets.load(e.data, e.split, e.view)
    # A folder is no checkpoint: none is read, and these few steps write none.
    short = e.replace(start=0, init="fill", steps=max(e.drift, default=2) + WARM + MEASURED)
    trainer = Trainer(short, data, Path("."))
    if trainer.memory is not None:
        for part in torch.arange(trainer.memory.size).split(1 << 14):
            entries = normalize(torch.randn(len(part), e.dim))
            trainer.memory.enqueue(entries, data.train.labels[part], part)
    began = time.perf_counter()
    try:
        for number, batch in enumerate(islice(trainer.batches(), WARM + MEASURED)):
            if number == WARM:
                _wait(cuda)
                began = time.perf_counter()
            trainer.update(*batch)
        _wait(cuda)
    except torch.OutOfMemoryError:
        raise PreflightError(
            f"{e.backbone} at batch={e.batch} does not fit into the GPU's "
            f"{torch.cuda.mem_get_info()[1] / GIB:.0f} GiB: take a larger GPU or several, "
            "or a smaller batch"
        ) from None
    return Probe(
        seconds=(time.perf_counter() - began) / MEASURED / e.batch,
        peak=torch.cuda.max_memory_allocated() if cuda else 0,
        checkpoint=checkpoint_size(trainer),
    )


def _wait(cuda: bool) -> None:
    if cuda:
        torch.cuda.synchronize()


def _memory(probes: Mapping[str, Probe]) -> str:
    if not torch.cuda.is_available():
        return "no GPU: one run per core"
    most = max(p.peak for p in probes.values())
    return f"GPU memory {most / GIB:.1f} of {torch.cuda.mem_get_info()[1] / GIB:.0f} GiB"
