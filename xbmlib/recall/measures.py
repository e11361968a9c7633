"""Recall@K, MAP@R and R-precision from tiles of similarities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from xbmlib.recall.ahead import images_ahead
from xbmlib.recall.tiles import checked_ks, checked_labels, tiles


def recall_at_k(
    query: Tensor,
    query_labels: Tensor,
    ks: Sequence[int],
    gallery: Tensor | None = None,
    gallery_labels: Tensor | None = None,
) -> dict[int, float]:
    """R@K (Section 4.2): fraction of queries with an image of their class among their K nearest.

    Nothing is sorted: a query scores at every K above the number of images of other classes that
    rank ahead of its best match (:mod:`xbmlib.recall.ahead`), exact in float64: embeddings of any
    scale, and similarities that differ by more than (D + 2) 2^-52 times the query's norm and the
    largest norm in the gallery; closer ones tie. A query without a match scores at no K.

    Args:
        query: (Q, D) embeddings; the similarity is their inner product.
        query_labels: (Q,) integers of any dtype, or bool.
        ks: the K, each a whole number >= 1.
        gallery: (G, D) embeddings to search. Without it the queries are searched, and each leaves
            itself out (by its index, not by its similarity).
        gallery_labels: (G,) integers; required with ``gallery``.

    Returns:
        K to a fraction in [0, 1].

    Raises:
        ValueError: no queries, K below 1, shapes or devices that do not agree, labels that are not
            integers, or embeddings that are not floating point, not finite, or too far apart in
            norm for float64.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
        >>> recall_at_k(embeddings, torch.tensor([0, 0, 1, 0]), [1, 2])
        {1: 0.25, 2: 0.75}
    """
    ks = checked_ks(ks)
    query_labels, target_labels = checked_labels(query, query_labels, gallery, gallery_labels)
    targets = None if gallery is None else target_labels
    counts = images_ahead(query, query_labels, gallery, targets, max(ks))
    return {k: float((counts < k).double().mean()) for k in ks}


def map_at_r(
    query: Tensor,
    query_labels: Tensor,
    gallery: Tensor | None = None,
    gallery_labels: Tensor | None = None,
) -> float:
    """MAP@R: mean over queries of 1/R Σ precision at each match among the R nearest.

    R is the number of matches that the query has in the gallery (Musgrave et al., ECCV 2020).
    Similarities are ranked as float32 rounds them; those of float64 embeddings, and of any whose
    products leave float32's range, as float64 does.

    Args:
        query: (Q, D) embeddings, as all further arguments like those of :func:`recall_at_k`.
        query_labels: (Q,) integers.
        gallery: (G, D) embeddings to search; without it the other queries.
        gallery_labels: (G,) integers; required with ``gallery``.

    Returns:
        A mean in [0, 1], to which a query without a match adds 0.

    Raises:
        ValueError: as :func:`recall_at_k`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
        >>> map_at_r(embeddings, torch.tensor([0, 0, 1, 1]))
        0.5
    """
    total = 0.0
    for ranks, within, r in _match_ranks(query, query_labels, gallery, gallery_labels):
        place = torch.arange(1, ranks.shape[1] + 1, device=ranks.device)  # (P,)
        precision = torch.where(within, place / ranks, 0.0)  # (q, P)
        total += float((precision.sum(1) / r.clamp_min(1)).sum())
    return total / len(query)


def r_precision(
    query: Tensor,
    query_labels: Tensor,
    gallery: Tensor | None = None,
    gallery_labels: Tensor | None = None,
) -> float:
    """R-precision: mean over queries of the fraction of matches among the R nearest.

    R is the number of matches that the query has in the gallery (Musgrave et al., ECCV 2020).
    Similarities are ranked as for :func:`map_at_r`.

    Args:
        query: (Q, D) embeddings, as all further arguments like those of :func:`recall_at_k`.
        query_labels: (Q,) integers.
        gallery: (G, D) embeddings to search; without it the other queries.
        gallery_labels: (G,) integers; required with ``gallery``.

    Returns:
        A mean in [0, 1], to which a query without a match adds 0.

    Raises:
        ValueError: as :func:`recall_at_k`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
        >>> r_precision(embeddings, torch.tensor([0, 0, 1, 1]))
        0.5
    """
    total = 0.0
    for _, within, r in _match_ranks(query, query_labels, gallery, gallery_labels):
        total += float((within.sum(1) / r.clamp_min(1)).sum())
    return total / len(query)


def _match_ranks(
    query: Tensor, query_labels: Tensor, gallery: Tensor | None, gallery_labels: Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The matches of each block of q queries, the most similar first, P at most for a query.

    Yields:
        ranks (q, P) in the gallery, from 1; whether each is a match that lies within R, (q, P)
        bool; R, (q,).
    """
    for matches, others in tiles(query, query_labels, gallery, gallery_labels):
        r = (matches > -torch.inf).sum(1)  # (q,)
        best_first = matches.sort(1, descending=True).values  # (q, P)
        # A match counts only when it lies within R, so the P >= R nearest others suffice: a
        # match with all of them ahead is beyond R, however many more there are.
        width = matches.shape[1]
        nearest = others.topk(width, dim=1, sorted=True).values  # (q, P)
        ahead = width - torch.searchsorted(nearest.flip(1), best_first)  # (q, P)
        ranks = ahead + torch.arange(1, width + 1, device=r.device)
        yield ranks, (ranks <= r[:, None]) & (best_first > -torch.inf), r
