"""Recall@K, MAP@R and R-precision from tiles of similarities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from xbmlib.recall.ahead import images_ahead
from xbmlib.recall.tiles import labelled, tiles


def recall_at_k(
    query: Tensor,
    query_labels: Tensor,
    ks: Sequence[int],
    gallery: Tensor | None = None,
    gallery_labels: Tensor | None = None,
) -> dict[int, float]:
    """R@K: share of the queries with an image of their class among their K nearest.

    Nothing is sorted: a query scores at every K above the number of images of other classes that
    rank before its best match (:mod:`xbmlib.recall.ahead`), exact in float64. A query without a
    match in the gallery scores at none.

    Args:
        query: (Q, D) embeddings; the similarity is their inner product.
        query_labels: (Q,) integers.
        ks: the K, each >= 1.
        gallery: (G, D) embeddings to search; the queries themselves when left out, each of
            which then leaves itself out (by its place, not by its similarity).
        gallery_labels: (G,) integers; required with ``gallery``.

    Returns:
        K to a fraction in [0, 1].

    Raises:
        ValueError: no queries, K below 1, shapes or devices that do not agree, or embeddings with
            NaN.
    """
    if not ks or min(ks) < 1:
        raise ValueError(f"ks={tuple(ks)}: give at least one K, each at least 1")
    labelled(query, query_labels, gallery, gallery_labels)
    counts = images_ahead(query, query_labels, gallery, gallery_labels, max(ks))
    return {k: float((counts < k).double().mean()) for k in ks}


def map_at_r(
    query: Tensor,
    query_labels: Tensor,
    gallery: Tensor | None = None,
    gallery_labels: Tensor | None = None,
) -> float:
    """MAP@R: mean over queries of 1/R Σ precision at each match among the R nearest.

    R is the number of matches that the query has in the gallery (Musgrave et al., ECCV 2020).
    Arguments and errors as for :func:`recall_at_k`; a query without a match scores 0.
    """
    total = 0.0
    for ranks, within, r in _match_ranks(query, query_labels, gallery, gallery_labels):
        place = torch.arange(1, ranks.shape[1] + 1, device=ranks.device)
        precision = torch.where(within, place / ranks, 0.0)
        total += float((precision.sum(1) / r.clamp_min(1)).sum())
    return total / len(query)


def r_precision(
    query: Tensor,
    query_labels: Tensor,
    gallery: Tensor | None = None,
    gallery_labels: Tensor | None = None,
) -> float:
    """R-precision: mean over queries of the share of matches among the R nearest.

    Arguments and errors as for :func:`map_at_r`.
    """
    total = 0.0
    for _, within, r in _match_ranks(query, query_labels, gallery, gallery_labels):
        total += float((within.sum(1) / r.clamp_min(1)).sum())
    return total / len(query)


def _match_ranks(
    query: Tensor, query_labels: Tensor, gallery: Tensor | None, gallery_labels: Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """For blocks of queries: rank (from 1) of each match, best first; which lie within R; R."""
    for matches, others in tiles(query, query_labels, gallery, gallery_labels):
        real = matches > -torch.inf
        r = real.sum(1)
        best_first = matches.sort(1, descending=True).values
        # A match counts only when it lies within R, so the P >= R nearest others suffice: a
        # match with all of them ahead is beyond R, however many more there are.
        width = matches.shape[1]
        nearest = others.topk(width, dim=1, sorted=True).values
        ahead = width - torch.searchsorted(nearest.flip(1), best_first)
        ranks = ahead + torch.arange(1, width + 1, device=r.device)
        yield ranks, (ranks <= r[:, None]) & (best_first > -torch.inf), r
