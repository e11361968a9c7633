"""The nearest images themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from xbmlib.extras import require
from xbmlib.integers import as_slots, whole_number
from xbmlib.recall.tiles import checked_gallery, comparable


def neighbours(
    query: Tensor, k: int, gallery: Tensor | None = None, own: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The K nearest images of each query, by faiss: exact in float32, ties in faiss' order.

    Args:
        query: (Q, D) embeddings; the similarity is their inner product.
        k: K, at least 1 and at most the number of images that a query can find.
        gallery: (G, D) embeddings to search. Without it the queries are searched, and each leaves
            itself out.
        own: (Q,) each query's own index in the gallery, which it leaves out; with a gallery only.

    Returns:
        similarities (Q, K) float32, descending, and indices (Q, K) int64 into the gallery, both
        on the CPU.

    Raises:
        ValueError: K out of range, shapes that do not agree, or embeddings that are not finite, of
            float64, or beyond what float32 can compare.
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
    _check_range(query, targets)
    if gallery is None and own is not None:
        raise ValueError("own without a gallery: each query leaves itself out already; omit it")
    if gallery is None:
        own = torch.arange(len(query), device="cpu")
    elif own is not None:
        own = as_slots("own", own).cpu()
        if own.shape != (len(query),) or own.lt(0).any() or own.ge(len(targets)).any():
            raise ValueError(
                f"own {tuple(own.shape)}: give one index into the gallery of {len(targets)} for "
                f"each of {len(query)} queries"
            )
    extra = int(own is not None)
    k = whole_number("k", k)
    if not 1 <= k <= len(targets) - extra:
        raise ValueError(f"k={k}: give 1 to {len(targets) - extra}")
    index = faiss.IndexFlatIP(targets.shape[1])
    index.add(targets.detach().float().cpu().numpy())
    found = index.search(query.detach().float().cpu().numpy(), k + extra)
    similarities, indices = (torch.from_numpy(array) for array in found)
    if own is not None:
        # Drop the query by its index. Where duplicates crowd it out, drop the last instead.
        itself = indices == own[:, None]  # (Q, K + 1) bool
        itself[~itself.any(1), -1] = True
        similarities = similarities[~itself].view(-1, k)
        indices = indices[~itself].view(-1, k)
    return similarities, indices


def _check_range(query: Tensor, targets: Tensor) -> None:
    """Refuse embeddings that float32, in which faiss compares, would rank otherwise."""
    for name, vectors in (("query", query), ("gallery", targets)):
        if vectors.dtype == torch.float64:
            raise ValueError(
                f"{name} of torch.float64: faiss compares in float32; give {name}.float() if that "
                "is near enough"
            )
    if comparable(query, targets)[0].dtype == torch.float64:
        raise ValueError(
            "embeddings too large or too small for faiss, which compares in float32: divide them "
            "by their largest norm"
        )
