"""A training step of the bundled study, by part, with and without the memory."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.measure import Row, duration, medians, row
from xbmlib import datasets
from xbmlib.datasets import Images
from xbmlib.queue import CrossBatchMemory
from xbmlib.study import protocol
from xbmlib.study.profiles import PROFILES
from xbmlib.training.callbacks.evaluation import evaluate
from xbmlib.training.experiment import Experiment
from xbmlib.training.trainer import Trainer

# Steps over which whole steps and their parts are measured, and steps between the warm-up and them.
STEPS, WARM = 120, 20
# Largest share of a quick run that its evaluation may take.
EVALUATION = 0.10
# The parts of an evaluation.
EMBEDDING, RECALL = "evaluation: embeddings", "evaluation: recall"


def trainer(e: Experiment) -> Trainer:
    """The trainer of an experiment, with its checkpoint in a temporary folder."""
    folder = Path(tempfile.mkdtemp())
    return Trainer(e, datasets.load(e.data, e.split), folder / "checkpoint.pt")


def settings(batch: int) -> dict[str, Experiment]:
    """A run of the protocol at the quick profile: with no memory, and full after the warm-up."""
    e = protocol.experiment(PROFILES["quick"], batch, seed=0, ratio=1.0).replace(init="sample")
    return {"none": e.replace(ratio=0.0), "100%": e}


def rows() -> Iterator[Row]:
    """Cost of the memory in a training step, its floor, and time spent waiting for input.

    With one thread, as in the study; the two runs take their steps in turn. The floor is a step
    with no memory, one product of the mini-batch with every entry, and enqueuing it.
    """
    for batch in (16, 64):
        cases = settings(batch)
        begin = cases["100%"].start + WARM
        runs = {name: trainer(e) for name, e in cases.items()}
        loaders = {name: run.batches() for name, run in runs.items()}
        steps: dict[str, list[float]] = {name: [] for name in runs}
        waits: list[float] = []
        for _ in range(begin + STEPS):
            for name, run in runs.items():
                began = time.perf_counter()
                images = next(loaders[name])
                waited = time.perf_counter()
                run.update(*images)
                steps[name].append(1e3 * (time.perf_counter() - began))
                waits.append(1e3 * (waited - began))
        none, full = (statistics.median(found[begin:]) for found in steps.values())
        least, kept = product(runs["100%"], batch), enqueuing(runs["100%"], batch)
        yield row(f"training step, batch {batch}, 100% memory", "no memory", full, none, sense="<=",
                  bar=1.1, reason=added(none, full, least, kept))  # fmt: skip
        yield row(f"training step, batch {batch}, floor with 100% memory", "no memory",
                  none + least + kept, none)  # fmt: skip
        yield row(f"waiting for input, batch {batch}", "a step without memory",
                  statistics.median(waits[2 * begin :]), none, sense="<=", bar=0.05)  # fmt: skip


def product(run: Trainer, batch: int) -> float:
    """Milliseconds of one product of a mini-batch with every entry, as the search takes it."""
    memory = run.memory
    assert isinstance(memory, CrossBatchMemory)
    entries = memory.embeddings if memory.shadow is None else memory.shadow.entries
    anchors = entries[:batch].clone()
    return medians(25, product=lambda: entries @ anchors.T)["product"]


def enqueuing(run: Trainer, batch: int) -> float:
    """Milliseconds in which the memory takes a mini-batch; the run's memory is left changed."""
    memory = run.memory
    assert isinstance(memory, CrossBatchMemory)
    v, labels = memory.embeddings[:batch].clone(), memory.labels[:batch].clone()
    return medians(25, enqueue=lambda: memory.enqueue(v, labels))["enqueue"]


def added(none: float, full: float, product: float, enqueue: float) -> str:
    """What the memory adds to a step, part by part, as percentages of a step with no memory.

    Args:
        none: milliseconds of a step with no memory.
        full: of one with it.
        product: of the product of mini-batch and memory.
        enqueue: of enqueuing the mini-batch.
    """
    rest = max(0.0, full - none - product - enqueue)
    share = [f"{100 * part / none:.1f}%" for part in (product, enqueue, rest)]
    return (
        f"of a step with no memory, the product with every entry alone takes {share[0]} and "
        f"enqueuing {share[1]}; finding the pairs that count, their weights and gradient {share[2]}"
    )


def parts() -> pd.DataFrame:
    """Where the time of the quick profile's runs goes.

    Returns:
        One row per part: batch, memory, part, seconds in one whole run, share of the run.
    """
    out = []
    for batch in (16, 64):
        for name, e in settings(batch).items():
            began = time.perf_counter()
            run = trainer(e)
            loading = time.perf_counter() - began
            loader = run.batches()
            for images in islice(loader, e.start + WARM):
                run.update(*images)
            with profile(activities=[ProfilerActivity.CPU]) as found:
                for _ in range(STEPS):
                    with record_function("xbm: data"):
                        images = next(loader)
                    with record_function("xbm: step"):
                        run.update(*images)
            embedding, recall = (e.evaluations * seconds for seconds in evaluated(run))
            seconds = {
                a.key.removeprefix("xbm: "): 1e-6 * a.cpu_time_total / STEPS * e.steps
                for a in found.key_averages()
                if a.key.startswith("xbm: ")
            }
            whole = seconds.pop("step")
            seconds["other"] = whole - sum(t for part, t in seconds.items() if part != "data")
            seconds |= {"loading": loading, EMBEDDING: embedding, RECALL: recall}
            total = sum(seconds.values())
            out += [
                {"batch": batch, "memory": name, "part": part, "seconds": t, "share": t / total}
                for part, t in seconds.items()
            ]
    return pd.DataFrame(out)


def evaluation(table: pd.DataFrame) -> Iterator[Row]:
    """The share of evaluation in each of the runs of which :func:`parts` gives the parts."""
    for (batch, name), run in table.groupby(["batch", "memory"], sort=False):
        spent = run.loc[run["part"].isin([EMBEDDING, RECALL]), "seconds"].sum()
        embedding = run.loc[run["part"] == EMBEDDING, "seconds"].sum() / run["seconds"].sum()
        reason = f"one forward pass of every test image alone is {embedding:.0%} of so short a run"
        yield row(f"evaluation, batch {batch}, memory: {name}", "the whole quick run", spent,
                  run["seconds"].sum(), sense="<=", bar=EVALUATION, unit="s",
                  reason=reason)  # fmt: skip


def evaluated(run: Trainer) -> tuple[float, float]:
    """Seconds of an evaluation: of embedding the test images, and of the rest of it."""
    embedding = 0.0

    def embed(images: Images) -> Tensor:
        nonlocal embedding
        began = time.perf_counter()
        v = run.embed(images)
        embedding += time.perf_counter() - began
        return v

    whole = duration(lambda: evaluate(run.data, embed))
    return embedding, whole - embedding


def one_thread() -> None:
    """Use one thread, as the study's runs do."""
    torch.set_num_threads(1)
