"""The losses against a memory of the paper's size, beside a bare product and a peer library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import NamedTuple

import torch
from pytorch_metric_learning import distances, miners
from pytorch_metric_learning import losses as peers
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measure import Row, against, extra_mib, faster, medians, row, timings
from xbmlib import bfloat16
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, PairLoss, TripletLoss
from xbmlib.queue import CrossBatchMemory

# m, N, D and number of training classes of SOP (Sections 4.1 and 4.2).
BATCH, ENTRIES, DIM, CLASSES = 64, 59_551, 512, 11_318
BATCHES = 64
ROUNDS = 15


class Case(NamedTuple):
    """The entries of a full memory, and mini-batches to compare with it.

    Attributes:
        entries: (M, D) vectors of norm 1.
        entry_labels: (M,).
        batches: (n, m, D), K = 4 images of each class; n fill the smallest memory, so that none is
            in it twice.
        labels: (n, m).
    """

    entries: Tensor
    entry_labels: Tensor
    batches: Tensor
    labels: Tensor


def case(
    noise: float,
    size: int = ENTRIES,
    dim: int = DIM,
    classes: int = CLASSES,
    on: torch.device | str = "cpu",
) -> Case:
    """Sample vectors of norm 1 in classes, with groups of four similar classes.

    Args:
        noise: of an image around its class, per coordinate. At TRAINED an anchor has some 16
            negatives above 0.5, so that a batch of 64 has the paper's 1,000 valid negatives
            (Fig. 4); at UNTRAINED the classes hardly differ.
        size: M.
        dim: D.
        classes: number of classes.
        on: device of all tensors.
    """
    torch.manual_seed(0)
    with torch.device(on):
        return _sample(noise, size, dim, classes)


def _sample(noise: float, size: int, dim: int, classes: int) -> Case:
    scale = (DIM / dim) ** 0.5
    group = F.normalize(torch.randn(classes // 4 + 1, dim))
    offsets = 0.02 * scale * torch.randn(classes, dim)
    centres = F.normalize(group[torch.arange(classes) // 4] + offsets)
    chosen = torch.stack([torch.randperm(classes)[: BATCH // 4] for _ in range(BATCHES)])
    labels = chosen.repeat_interleave(4, dim=1)
    entry_labels = torch.randint(0, classes, (size,))

    def images(classes: Tensor) -> Tensor:
        return F.normalize(centres[classes] + noise * scale * torch.randn(len(classes), dim))

    entries = torch.cat([images(part) for part in entry_labels.split(1 << 16)])
    return Case(entries, entry_labels, torch.stack([images(y) for y in labels]), labels)


TRAINED, UNTRAINED = 0.03, 0.5


def ours(loss: PairLoss, data: Case, **named: object) -> Callable[[], Tensor]:
    """One step: enqueue, loss, gradient of the batch."""
    device = data.entries.device
    memory = CrossBatchMemory(*data.entries.shape, device=device, **named)  # type: ignore[arg-type]
    memory.enqueue(data.entries, data.entry_labels)
    batches = cycle(zip(data.batches, data.labels, strict=True))

    def step() -> Tensor:
        batch, labels = next(batches)
        v = batch.clone().requires_grad_()
        own = memory.enqueue(v, labels)
        loss(v, labels, memory, own=own).backward()
        assert v.grad is not None
        return v.grad

    return step


def theirs(loss: torch.nn.Module, data: Case, miner: object = None) -> Callable[[], Tensor]:
    """The same step by pytorch-metric-learning."""
    memory = peers.CrossBatchMemory(loss, data.entries.shape[1], len(data.entries), miner=miner)
    memory.to(data.entries.device)
    memory.embedding_memory.copy_(data.entries)
    memory.label_memory.copy_(data.entry_labels)
    memory.has_been_filled = True
    batches = cycle(zip(data.batches, data.labels, strict=True))

    def step() -> Tensor:
        batch, labels = next(batches)
        v = batch.clone().requires_grad_()
        memory(v, labels).backward()
        assert v.grad is not None
        return v.grad

    return step


PEER = "pytorch-metric-learning"


def steps(data: Case) -> dict[str, Callable[[], Tensor]]:
    """Bare products, and a step of each loss and of the peer's two."""
    batch = data.batches[0]
    low = batch.bfloat16(), data.entries.bfloat16()
    cosine = distances.CosineSimilarity()
    contrastive = peers.ContrastiveLoss(pos_margin=1, neg_margin=0.5, distance=cosine)
    mined = peers.MultiSimilarityLoss(alpha=2, beta=40, base=0.5)
    return {
        "bare": lambda: batch @ data.entries.T,
        "entries_first": lambda: data.entries @ batch.T,
        "bare16": lambda: low[0] @ low[1].T,
        "contrastive": ours(ContrastiveLoss(), data),
        "bf16": ours(ContrastiveLoss(), data, dtype=torch.bfloat16),
        "shadow": ours(ContrastiveLoss(), data, shadow=True),
        "ms": ours(MultiSimilarityLoss(), data),
        "triplet": ours(TripletLoss(), data),
        "peer": theirs(contrastive, data),
        "peer_ms": theirs(mined, data, miners.MultiSimilarityMiner(0.1)),
    }


def without_bfloat16() -> str:
    """Why a comparison in bfloat16 falls short on a processor without instructions for it."""
    if bfloat16.is_fast(torch.device("cpu")):
        return "not explained: this processor is quick in bfloat16"
    return "this processor has no instructions for bfloat16, so the search is in float32"


def rows() -> Iterator[Row]:
    """Each loss at the paper's sizes."""
    data = case(TRAINED)
    calls = steps(data)
    t = medians(ROUNDS, **calls)
    product, product16 = "bare product, fp32", "bare product, bf16"
    yield row("contrastive, fp32", product, t["contrastive"], t["bare"], sense="<=", bar=1.2)
    # The faster layout of the same product, so that a reader sees what the layout alone gains.
    yield row("contrastive, fp32", "entries-first product, fp32", t["contrastive"],
              t["entries_first"])  # fmt: skip
    yield faster("contrastive, fp32", PEER, t["contrastive"], t["peer"], 2.7)
    yield row("contrastive, bf16 memory", product16, t["bf16"], t["bare16"], sense="<=", bar=1.35,
              reason=without_bfloat16())  # fmt: skip
    yield faster("contrastive, bf16 memory", f"{PEER}, fp32", t["bf16"], t["peer"], 6.5,
                 without_bfloat16())  # fmt: skip
    yield row("contrastive, fp32 with bf16 shadow", product, t["shadow"], t["bare"],
              sense="<=", bar=0.6, reason=without_bfloat16())  # fmt: skip
    yield row("multi-similarity", product, t["ms"], t["bare"], sense="<=", bar=2.2)
    yield faster("multi-similarity", f"{PEER} with its miner", t["ms"], t["peer_ms"], 2)
    yield row("triplet", product, t["triplet"], t["bare"], sense="<=", bar=2.5)
    gradient = ours(ContrastiveLoss(), data)()
    error = ours(ContrastiveLoss(), data, shadow=True)() - gradient
    yield row("contrastive, fp32 with bf16 shadow: gradient's distance by norm", "fp32's gradient",
              float(error.norm() / gradient.norm()), 1.0, sense="<=", bar=1e-6,
              unit="of its norm")  # fmt: skip
    for name, step in calls.items():
        if name in ("contrastive", "bf16", "ms", "triplet"):
            yield row(f"extra memory: {name}", "1 MiB", extra_mib(step), 1.0, sense="<=",
                      bar=64, unit="MiB")  # fmt: skip
    yield from _untrained()
    yield from _triplets_of_the_peer()


def _untrained() -> Iterator[Row]:
    """Before training, mining keeps most of the pairs: their gradient is a second product."""
    data = case(UNTRAINED)
    makers = {"contrastive": ContrastiveLoss, "ms": MultiSimilarityLoss, "triplet": TripletLoss}
    calls = {name: ours(make(), data) for name, make in makers.items()}
    times = timings(ROUNDS, bare=partial(torch.mm, data.batches[0], data.entries.T), **calls)
    t = against("bare", times)
    for name in calls:
        yield row(f"{name}, untrained embeddings", "bare product, fp32", t[name], t["bare"],
                  sense="<=", bar=3)  # fmt: skip
    for name in ("ms", "triplet"):
        yield row(f"extra memory: {name}, untrained", "1 MiB", extra_mib(calls[name]), 1.0,
                  sense="<=", bar=16, unit="MiB")  # fmt: skip


def _triplets_of_the_peer() -> Iterator[Row]:
    """The largest memories for which the peer lists its triplets in seconds: m·M² booleans."""
    loss = peers.TripletMarginLoss(
        margin=0.1, distance=distances.CosineSimilarity(), swap=False, smooth_loss=False
    )
    for size in (2000, 4000):
        data = case(TRAINED, size=size, classes=size // 5)
        t = medians(3, ours=ours(TripletLoss(), data), peer=theirs(loss, data))
        cube = BATCH * size**2 / 2**30
        yield faster(f"triplet, M = {size}", f"pytorch-metric-learning (a cube of {cube:.1f} GiB; "
                     f"{BATCH * ENTRIES**2 / 2**30:.0f} GiB at {ENTRIES})",
                     t["ours"], t["peer"], None)  # fmt: skip
