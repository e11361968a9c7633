"""Recall@K at the size of SOP's test set, against a bare product and peers."""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor

from benchmarks.losses import DIM, TRAINED, case
from benchmarks.measure import Row, duration, extra_mib, faster, row
from xbmlib.recall import recall_at_k

# Test images and classes of SOP (Section 4.2), and the K of Table 3.
IMAGES, CLASSES, KS = 60_502, 11_316, (1, 10, 100, 1000)
CHECKED = 12_000
SIDE = 2048


def product(vectors: Tensor) -> None:
    """The bare float32 product of all pairs, a tile at a time."""
    out = torch.empty(SIDE, SIDE)
    for a in vectors.split(SIDE):
        for b in vectors.split(SIDE):
            torch.mm(a, b.T, out=out[: len(a), : len(b)])


def nearest(vectors: Tensor) -> None:
    """faiss' exact search, which also finds the query itself."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors.numpy())
    index.search(vectors.numpy(), max(KS) + 1)


def brute(vectors: Tensor, labels: Tensor) -> dict[int, float]:
    """R@K from all pairs in float64."""
    counts = []
    for at in torch.arange(len(labels)).split(500):
        s = vectors[at].double() @ vectors.double().T
        s[torch.arange(len(at)), at] = -torch.inf
        same = labels[at, None] == labels
        best = s.masked_fill(~same, -torch.inf).amax(1, keepdim=True)
        ahead = (s.masked_fill(same, -torch.inf) >= best).sum(1).double()
        counts.append(ahead.masked_fill(best[:, 0] == -torch.inf, torch.inf))
    return {k: float((torch.cat(counts) < k).double().mean()) for k in KS}


def rows() -> Iterator[Row]:
    """Time, memory and exactness."""
    data = case(1.5 * TRAINED, IMAGES, DIM, CLASSES)
    e, y = data.entries, data.entry_labels
    # Before and after, in case the machine's speed changes in between.
    bare = [duration(lambda: product(e))]
    mine = min(duration(lambda: recall_at_k(e, y, KS)) for _ in range(2))
    bare.append(duration(lambda: product(e)))
    what = f"R@{{1,10,100,1000}}, N = {IMAGES}"
    yield row(what, "bare product, fp32, tiled", mine, min(bare), sense="<=", bar=0.7, unit="s")
    yield faster(what, "faiss flat, k = 1001", mine, duration(lambda: nearest(e)), 1.8) | {
        "unit": "s"
    }
    peer = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r", "r_precision"), k="max_bin_count"
    )
    theirs = duration(lambda: peer.get_accuracy(e, y))
    yield faster(what, "pytorch-metric-learning's AccuracyCalculator", mine, theirs, 2) | {
        "unit": "s"
    }
    half = e[: IMAGES // 2], y[: IMAGES // 2]
    yield row("extra memory: recall (N halved)", "1 MiB", extra_mib(lambda: recall_at_k(*half, KS)),
              1.0, sense="<=", bar=256, unit="MiB")  # fmt: skip
    # With duplicates, some of them of another class, so that there are ties.
    e, y = e[:CHECKED].clone(), y[:CHECKED]
    e[::7] = e[1::7][: len(e[::7])]
    found, wanted = recall_at_k(e, y, KS), brute(e, y)
    apart = max(abs(found[k] - wanted[k]) for k in KS)
    yield row(f"R@K, N = {CHECKED} with ties: largest difference", "brute force in float64",
              apart, 1.0, sense="<=", bar=0.0, unit="")  # fmt: skip
