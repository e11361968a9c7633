"""Recall@K on a GPU: the count ahead of the best match, against torch.topk and faiss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import faiss
import torch
from torch import Tensor

from benchmarks.losses import DIM, TRAINED, case
from benchmarks.measure import Row, medians, row
from benchmarks.recall import CLASSES, IMAGES, KS
from xbmlib.recall import recall_at_k

ROUNDS, QUERIES = 3, 2048


def by_topk(vectors: Tensor, labels: Tensor) -> dict[int, float]:
    """R@K from the most similar images of each query, sorted; ties in any order."""
    first = torch.empty(len(vectors), device=vectors.device)
    k = min(max(KS), len(vectors) - 1)
    for rows in torch.arange(len(vectors), device=vectors.device).split(QUERIES):
        s = vectors[rows] @ vectors.T
        s.scatter_(1, rows[:, None], -torch.inf)
        hits = labels[s.topk(k, 1).indices] == labels[rows, None]
        rank = torch.where(hits.any(1), hits.byte().argmax(1), k).float()
        first[rows] = rank.masked_fill(~hits.any(1), torch.inf)
    return {k: float((first < k).double().mean()) for k in KS}


def faiss_search(vectors: Tensor) -> Callable[[], Any] | None:
    """faiss' exact search on the GPU; None if this faiss has none, as on a machine without."""
    if not hasattr(faiss, "StandardGpuResources") or not vectors.is_cuda:
        return None
    index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), vectors.shape[1])
    found = vectors.cpu().numpy()
    index.add(found)
    return lambda: index.search(found, max(KS) + 1)


def rows(on: str, images: int = IMAGES, classes: int = CLASSES) -> Iterator[Row]:
    """Times of the three in milliseconds, and of the bare float32 product."""
    data = case(1.5 * TRAINED, images, DIM, classes, on=on)
    v, labels = data.entries, data.entry_labels

    def product() -> None:
        for part in v.split(QUERIES):
            part @ v.T

    calls: dict[str, Callable[[], Any]] = {
        "ours": lambda: recall_at_k(v, labels, KS),
        "product": product,
        "topk": lambda: by_topk(v, labels),
    }
    search = faiss_search(v)
    if search is not None:
        calls["faiss"] = search
    t = medians(ROUNDS, **calls)
    what = f"R@{{1,10,100,1000}}, N = {images}"
    peers = {
        "product": "bare product, fp32",
        "topk": "torch.topk",
        "faiss": "faiss flat on the GPU",
    }
    for key, against in peers.items():
        if key in t:
            yield row(what, against, t["ours"], t[key])
