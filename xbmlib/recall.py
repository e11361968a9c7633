"""Retrieval measures: Recall@K (Section 4.2), MAP@R and R-precision, exact in bounded memory.

One rule for ties throughout: an image of another class that is as similar to the query as one of
its own class ranks before it. So embeddings that collapse to a point score 0, not 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

# Similarities of one tile: 8 Mi of float32 are 32 MiB.
TILE = 1 << 23


def recall_at_k(
    query: Tensor,
    query_labels: Tensor,
    ks: Sequence[int],
    gallery: Tensor | None = None,
    gallery_labels: Tensor | None = None,
) -> dict[int, float]:
    """R@K: share of the queries with an image of their class among their K nearest.

    Nothing is sorted: a query scores at every K above the number of images of other classes that
    rank before its best match. A query without a match in the gallery scores at none.

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
        ValueError: no queries, K below 1, shapes that do not agree, or embeddings with NaN.
    """
    if not ks or min(ks) < 1:
        raise ValueError(f"ks={tuple(ks)}: give at least one K, each at least 1")
    ahead = [
        torch.where(
            best > -torch.inf,
            # The matches lie at -inf here: only images of other classes are counted.
            (tile.others >= best[:, None]).sum(1, dtype=torch.int32),
            torch.iinfo(torch.int32).max,
        )
        for tile in _tiles(query, query_labels, gallery, gallery_labels)
        for best in (tile.matches.amax(1),)
    ]
    counts = torch.cat(ahead)
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


def neighbours(query: Tensor, k: int, gallery: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The K nearest images themselves, by faiss (exact; ties in faiss' own order).

    Args:
        query: (Q, D) embeddings.
        k: K, at least 1 and at most the number of images to be found.
        gallery: (G, D); the queries when left out, each of which leaves itself out.

    Returns:
        similarities (Q, K), descending, and indices (Q, K) into the gallery.

    Raises:
        ValueError: K out of range.
    """
    import faiss

    targets = query if gallery is None else gallery
    extra = int(gallery is None)
    if not 1 <= k <= len(targets) - extra:
        raise ValueError(f"k={k}: give 1 to {len(targets) - extra}")
    index = faiss.IndexFlatIP(targets.shape[1])
    index.add(targets.float().cpu().numpy())
    found = index.search(query.float().cpu().numpy(), k + extra)
    similarities, indices = (torch.from_numpy(array) for array in found)
    if gallery is None:
        # Drop the query by its index. Where duplicates crowd it out, drop the last instead.
        itself = indices == torch.arange(len(query))[:, None]
        itself[~itself.any(1), -1] = True
        similarities = similarities[~itself].view(-1, k)
        indices = indices[~itself].view(-1, k)
    return similarities, indices


class _Tile(NamedTuple):
    """Similarities of a block of queries.

    Attributes:
        matches: (q, P) similarities to the images of the query's class, padded by -inf.
        others: (q, G) similarities to all images, those of the query's class at -inf.
    """

    matches: Tensor
    others: Tensor


def _tiles(
    query: Tensor, query_labels: Tensor, gallery: Tensor | None, gallery_labels: Tensor | None
) -> Iterator[_Tile]:
    """Blocks of queries against the whole gallery, in bounded memory."""
    _check(query, query_labels, gallery, gallery_labels)
    targets = query if gallery is None else gallery
    target_labels = query_labels if gallery_labels is None else gallery_labels
    targets = targets.float()
    # Images of one class lie side by side in this order: a class is a range of it.
    order = target_labels.argsort(stable=True)
    ordered = target_labels[order].contiguous()
    first = torch.searchsorted(ordered, query_labels.contiguous())
    counts = torch.searchsorted(ordered, query_labels.contiguous(), right=True) - first
    rows = max(1, TILE // max(1, len(targets)))
    for block in torch.arange(len(query), device=query.device).split(rows):
        s = query[block].float() @ targets.T
        if gallery is None:
            s.scatter_(1, block[:, None], -torch.inf)
        # A class's places, padded with its own last one, or with 0 where there is none.
        offset = torch.arange(max(1, int(counts[block].max())), device=s.device)
        there = offset < counts[block, None]
        places = order[torch.where(there, first[block, None] + offset, 0)]
        matches = s.gather(1, places).masked_fill_(~there, -torch.inf)
        rows_at, columns_at = there.nonzero(as_tuple=True)
        s[rows_at, places[rows_at, columns_at]] = -torch.inf
        yield _Tile(matches, s)


def _match_ranks(
    query: Tensor, query_labels: Tensor, gallery: Tensor | None, gallery_labels: Tensor | None
) -> Iterable[tuple[Tensor, Tensor, Tensor]]:
    """For blocks of queries: rank (from 1) of each match, best first; which lie within R; R."""
    for matches, others in _tiles(query, query_labels, gallery, gallery_labels):
        real = matches > -torch.inf
        r = real.sum(1)
        best_first = matches.sort(1, descending=True).values
        # A match counts only when it lies within R, so the P >= R nearest others suffice: a
        # match with all of them ahead is beyond R, however many more there are.
        width = matches.shape[1]
        nearest = others.topk(min(width, others.shape[1]), dim=1).values
        ahead = (nearest[:, None, :] >= best_first[:, :, None]).sum(2)
        ranks = ahead + torch.arange(1, width + 1, device=r.device)
        yield ranks, (ranks <= r[:, None]) & (best_first > -torch.inf), r


def _check(
    query: Tensor, query_labels: Tensor, gallery: Tensor | None, gallery_labels: Tensor | None
) -> None:
    if (gallery is None) != (gallery_labels is None):
        raise ValueError("gallery and gallery_labels come together: give both or neither")
    pairs = [("query", query, query_labels)]
    if gallery is not None and gallery_labels is not None:
        pairs.append(("gallery", gallery, gallery_labels))
    for name, embeddings, labels in pairs:
        if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1] or not len(labels):
            raise ValueError(
                f"{name} {tuple(embeddings.shape)} with labels {tuple(labels.shape)}: "
                "give (n, D) and (n,), n at least 1"
            )
        if not bool(embeddings.isfinite().all()):
            raise ValueError(f"{name}: embeddings that are not finite; did the training diverge?")
    if gallery is not None and gallery.shape[1] != query.shape[1]:
        raise ValueError(f"gallery of D = {gallery.shape[1]} for queries of {query.shape[1]}")
