"""What a trained embedder is measured by: its data set's protocols."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from xbmlib.datasets import Images, Retrieval
from xbmlib.recall import map_at_r, one_per_class, recall_at_k


def evaluate(data: Retrieval, embed: Callable[[Images], Tensor]) -> dict[str, float]:
    """R@K for the data set's K, and MAP@R, as fractions.

    Each test list is measured twice, under names of its own: leave-one-out ("small R@1") and with
    one random gallery image of each class ("small, one per class R@1"), 10 draws.

    Args:
        data: what is measured on; the gallery, or else leave-one-out among all queries, gives the
            plain names ("R@1").
        embed: images to embeddings (n, D).
    """
    query = data.query
    args: dict[str, Tensor] = {}
    embeddings = embed(query)
    # Recall is measured where the embeddings are.
    on = embeddings.device
    all_labels = query.labels.to(on)
    if data.gallery is not None:
        args = {"gallery": embed(data.gallery), "gallery_labels": data.gallery.labels.to(on)}
    whole = recall_at_k(embeddings, all_labels, data.ks, **args)
    out = _named("", whole)
    out["MAP@R"] = map_at_r(embeddings, all_labels, **args)
    for name, rows in data.lists.items():
        part, labels = embeddings[rows.to(on)], all_labels[rows.to(on)]
        # The largest list is all queries.
        alone = whole if len(rows) == len(query) else recall_at_k(part, labels, data.ks)
        out |= _named(f"{name} ", alone)
        out |= _named(f"{name}, one per class ", one_per_class(part, labels, data.ks))
    return out


def _named(prefix: str, recall: dict[int, float]) -> dict[str, float]:
    return {f"{prefix}R@{k}": value for k, value in recall.items()}
