"""The nearest images themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from xbmlib.extras import require
from xbmlib.recall.tiles import checked_gallery


def neighbours(
    query: Tensor, k: int, gallery: Tensor | None = None, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The K nearest images of each query, by faiss: exact, ties in faiss' order.

    Args:
        query: (Q, D) embeddings; the similarity is their inner product.
        k: K, at least 1 and at most the number of images that a query can find.
        gallery: (G, D) embeddings to search. Without it the queries are searched, and each leaves
            itself out.
        own: (Q,) each query's own index in the gallery, which it leaves out.

    Returns:
        similarities (Q, K) float32, descending, and indices (Q, K) int64 into the gallery, both
        on the CPU.

    Raises:
        ValueError: K out of range, shapes that do not agree, or embeddings that are not finite.
        MissingExtra: faiss is not installed.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> similarities, indices = neighbours(embeddings, 1)
        >>> indices.squeeze(1).tolist()
        [1, 0, 1]
    """
    faiss = require("faiss", extra="faiss")
    targets = checked_gallery(query, gallery)
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
        itself = indices == own.cpu()[:, None]  # (Q, K + 1) bool
        itself[~itself.any(1), -1] = True
        similarities = similarities[~itself].view(-1, k)
        indices = indices[~itself].view(-1, k)
    return similarities, indices
