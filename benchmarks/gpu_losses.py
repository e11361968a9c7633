"""The losses on a GPU against its physical limit: one read of the entries.

A product's own time is no yardstick, because cuBLAS is far from the limit at this shape.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.losses import BATCH, PEER, Case, ours, steps
from benchmarks.measure import Row, finish, row
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, PairLoss, TripletLoss
from xbmlib.queue import CrossBatchMemory

ROUNDS = 50
# Times the read of the entries that the one pass may take, by bytes of an entry's number (aim).
AIMS = {4: 3.0, 2: 2.0}
MEMORIES: dict[str, dict[str, Any]] = {
    "fp32": {},
    "bf16": {"dtype": torch.bfloat16},
    "fp32 with bf16 shadow": {"shadow": True},
}
LOSSES: dict[str, Callable[..., PairLoss]] = {
    "contrastive": ContrastiveLoss,
    "triplet": TripletLoss,
    "multi-similarity": MultiSimilarityLoss,
}


class Timed(NamedTuple):
    """One call to measure.

    Attributes:
        what: for the table.
        call: a step, or a part of one.
        width: bytes of each number of the entries that it has to read.
        aim: times the read that it may take; None for what is not ours to judge.
    """

    what: str
    call: Callable[[], Any]
    width: int
    aim: float | None = None


def read(entries: Tensor, width: int) -> int:
    """Bytes of all entries, each number in ``width`` of them."""
    return entries.numel() * width


def bandwidth(on: str, size: int = 1 << 28) -> float:
    """Bytes that the device reads per second, measured: the sum of so many float32."""
    block = torch.ones(size, device=on)
    return 4 * size / (1e-6 * microseconds(block.sum))


def microseconds(call: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Mean microseconds of one of many calls in a row, whose launches overlap as in training."""
    for _ in range(3):
        call()
    finish()
    began = time.perf_counter()
    for _ in range(rounds):
        call()
    finish()
    return 1e6 * (time.perf_counter() - began) / rounds


def plain(v: Tensor, labels: Tensor, entries: Tensor, others: Tensor, own: Tensor) -> Tensor:
    """The contrastive loss as a first version has it: all similarities, two masks, autograd."""
    s = v @ entries.T
    same = labels[:, None] == others
    itself = torch.arange(len(others), device=v.device) == own[:, None]
    positives = torch.where(same & ~itself, 1 - s, 0).sum()
    return (positives + torch.where(~same & (s > 0.5), s, 0).sum()) / len(v)


def compiled(data: Case) -> Callable[[], Tensor]:
    """A step of :func:`plain` under ``torch.compile``."""
    function = torch.compile(plain, fullgraph=True)
    own = torch.full((BATCH,), -1, device=data.entries.device)

    def step() -> Tensor:
        v = data.batches[0].clone().requires_grad_()
        function(v, data.labels[0], data.entries, data.entry_labels, own).backward()
        assert v.grad is not None
        return v.grad

    return step


def captured(step: Callable[[], Any]) -> Callable[[], Any]:
    """The step as a CUDA graph, which repeats its launches without Python."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def fixed(loss: PairLoss, data: Case, memory: dict[str, Any]) -> Callable[[], Tensor]:
    """Loss and gradient on one batch, whose slots and memory stay: what a graph can repeat."""
    queue = CrossBatchMemory(*data.entries.shape, device=data.entries.device, **memory)
    queue.enqueue(data.entries, data.entry_labels)
    v = data.batches[0].clone().requires_grad_()
    own = torch.full((BATCH,), -1, device=v.device)

    def step() -> Tensor:
        (grad,) = torch.autograd.grad(loss(v, data.labels[0], queue, own=own), v)
        return grad

    return step


def calls(data: Case) -> Iterator[Timed]:
    """Every loss by both methods on every memory, then the peers, made one at a time."""
    for name, make in LOSSES.items():
        for kind, memory in MEMORIES.items():
            width = 4 if kind == "fp32" else 2
            for method in ("search", "one_pass"):
                step = ours(make(method=method), data, **memory)
                aim = AIMS[width] if method == "one_pass" else None
                yield Timed(f"{name}, {kind}, {method}", step, width, aim)
            step = fixed(make(method="one_pass"), data, memory)
            what = f"{name}, {kind}, one_pass in a CUDA graph"
            yield Timed(what, captured(step), width, AIMS[width])
    theirs = steps(data)
    version = importlib.metadata.version(PEER)
    yield Timed(f"contrastive, {PEER} {version}", theirs["peer"], 4)
    yield Timed(f"multi-similarity, {PEER} {version}", theirs["peer_ms"], 4)
    yield Timed("contrastive, plain, torch.compile", compiled(data), 4)
    yield Timed("bare product, fp32", theirs["bare"], 4)
    yield Timed("bare product, bf16", theirs["bare16"], 2)


def judged(timed: Timed, us: float, size: int, rate: float) -> Row:
    """A row of microseconds against those of the read, with bytes and share of the bandwidth.

    Args:
        timed: what was measured.
        us: microseconds.
        size: bytes that have to be read.
        rate: bytes that the device reads per second.
    """
    limit = 1e6 * size / rate
    sense = "<=" if timed.aim is not None else ""
    found = row(timed.what, "one read of the entries", us, limit, sense=sense, bar=timed.aim,
                unit="µs")  # fmt: skip
    return found | {"bytes": size, "share": limit / us}


def rows(data: Case, rate: float) -> Iterator[Row]:
    """Each call measured."""
    for timed in calls(data):
        us = microseconds(timed.call)
        yield judged(timed, us, read(data.entries, timed.width), rate)
