"""The nearest images themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from xbmlib.extras import require
from xbmlib.recall.tiles import searched


def neighbours(
    query: Tensor, k: int, gallery: Tensor | None = None, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The K nearest images themselves, by faiss (exact; ties in faiss' own order).

    Args:
        query: (Q, D) embeddings.
        k: K, at least 1 and at most the number of images to be found.
        gallery: (G, D); the queries when left out, each of which leaves itself out.
        own: (Q,) each query's own index in the gallery, which it leaves out.

    Returns:
        similarities (Q, K), descending, and indices (Q, K) into the gallery.

    Raises:
        ValueError: K out of range, shapes that do not agree, or embeddings with NaN.
    """
    faiss = require("faiss", extra="faiss")
    targets = searched(query, gallery)
    if gallery is None:
        own = torch.arange(len(query))
    extra = int(own is not None)
    if not 1 <= k <= len(targets) - extra:
        raise ValueError(f"k={k}: give 1 to {len(targets) - extra}")
    index = faiss.IndexFlatIP(targets.shape[1])
    index.add(targets.float().cpu().numpy())
    found = index.search(query.float().cpu().numpy(), k + extra)
    similarities, indices = (torch.from_numpy(array) for array in found)
    if own is not None:
        # Drop the query by its index. Where duplicates crowd it out, drop the last instead.
        itself = indices == own.cpu()[:, None]
        itself[~itself.any(1), -1] = True
        similarities = similarities[~itself].view(-1, k)
        indices = indices[~itself].view(-1, k)
    return similarities, indices
