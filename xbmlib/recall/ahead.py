"""How many images rank ahead of a query's best match: all that Recall@K needs.

Nothing is sorted. One float32 product, of which leave-one-out needs half (S_ij = S_ji), decides
for all but the few images whose similarity equals the best match's up to rounding; a float64
product of the embeddings as they were given decides for those, so that the counts are those of
float64 throughout. Similarities no further apart than float64 may round them count as ties. On a
GPU a bfloat16 product comes first (:mod:`xbmlib.recall.screen`), with the same counts.

Shapes: Q queries, G gallery images, D dimensions; q and g of them in one tile.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from xbmlib.losses.candidates import BF16_ERROR
from xbmlib.recall import screen
from xbmlib.recall.tiles import comparable

# Queries and gallery images of one tile: 4 Mi float32 similarities are 16 MiB. Of one that is
# screened in bfloat16, so many times more: 128 MiB.
TILE_SIDE, SCREENED_SIDE = 2048, 4


class Labelled(NamedTuple):
    """Embeddings sorted by label, so that each class is a range of rows.

    Attributes:
        vectors: (n, D) float32.
        exact: (n, D) what they were rounded from, float32 or float64.
        labels: (n,) ascending.
    """

    vectors: Tensor
    exact: Tensor
    labels: Tensor

    @classmethod
    def sorted(cls, exact: Tensor, labels: Tensor) -> tuple[Labelled, Tensor]:
        """The rows by label, and their order (n,)."""
        order = labels.argsort(stable=True)
        exact = exact[order]
        return cls(exact.float(), exact, labels[order]), order

    def rows(self, at: slice) -> Labelled:
        """Some of the rows."""
        return Labelled(self.vectors[at], self.exact[at], self.labels[at])


class Thresholds(NamedTuple):
    """What a similarity is compared with to rank an image against the best match, (Q,) each.

    Attributes:
        best: float64 similarity of the best match; -inf without a match.
        surely_less: a float32 similarity below this is less than ``best`` in float64.
        surely_more: a float32 similarity of this or above is more than ``best`` in float64.
        tie: float64 similarities that differ by no more than this count as equal.
        half: float64 bound of the error of a bfloat16 similarity.
    """

    best: Tensor
    surely_less: Tensor
    surely_more: Tensor
    tie: Tensor
    half: Tensor

    def rows(self, at: slice) -> Thresholds:
        """Those of some of the queries."""
        return Thresholds(*(threshold[at] for threshold in self))


@torch.no_grad()
def images_ahead(
    query: Tensor,
    query_labels: Tensor,
    gallery: Tensor | None,
    gallery_labels: Tensor | None,
    max_rank: int,
) -> Tensor:
    """For each query, the images of other classes at least as similar as its best match.

    Args:
        query: (Q, D) finite.
        query_labels: (Q,) int64.
        gallery: (G, D) finite; None for leave-one-out.
        gallery_labels: (G,) int64.
        max_rank: largest K of interest: counting stops once a count has reached it, so that such
            a count is a lower bound.

    Returns:
        (Q,) float64, >= 0; infinite for a query without a match.
    """
    query, targets = comparable(query, gallery)
    queries, order = Labelled.sorted(query, query_labels)
    images = queries
    if gallery is not None and gallery_labels is not None:
        images, _ = Labelled.sorted(targets, gallery_labels)
    counts = _count_ahead(queries, images, max_rank)
    return torch.empty_like(counts).scatter_(0, order, counts)


def _count_ahead(queries: Labelled, images: Labelled, max_rank: int) -> Tensor:
    """(Q,) float64 counts in the order of the labels; infinite without a match."""
    leave_one_out = images is queries
    q_all, g_all = len(queries.labels), len(images.labels)
    thresholds = _thresholds(queries, images)
    counts = torch.zeros_like(thresholds.best)  # (Q,) float64
    screened = queries.vectors.device.type in screen.DEVICES
    side = TILE_SIDE * (SCREENED_SIDE if screened else 1)
    dtype = torch.bfloat16 if screened else torch.float32
    buffer = queries.vectors.new_empty(min(side, q_all) * min(side, g_all), dtype=dtype)
    for i in range(0, q_all, side):
        for j in range(i if leave_one_out else 0, g_all, side):
            a = queries.rows(slice(i, i + side))
            b = images.rows(slice(j, j + side))
            s = _compare(a, b, buffer)  # (q, g)
            passes = [(i, a, b, s)]
            if leave_one_out and j > i:
                # Off the diagonal the transposed tile counts for its columns as queries.
                passes.append((j, b, a, s.T))
            for start, tile_queries, others, similarities in passes:
                at = slice(start, start + len(tile_queries.labels))
                unfinished = counts[at] < max_rank  # (q,) bool
                counts[at] += _count_in_tile(
                    similarities, tile_queries, others, thresholds.rows(at), unfinished
                )
    return counts.masked_fill_(thresholds.best == -torch.inf, torch.inf)


def _compare(a: Labelled, b: Labelled, buffer: Tensor) -> Tensor:
    """Similarities (q, g) in the buffer's dtype and memory; -inf where the two are of one class."""
    s = buffer[: len(a.labels) * len(b.labels)].view(len(a.labels), -1)
    torch.mm(a.vectors.to(s.dtype), b.vectors.to(s.dtype).T, out=s)
    # Sorted labels: the two ranges share a class only where they overlap.
    if a.labels[-1] >= b.labels[0] and b.labels[-1] >= a.labels[0]:
        s.masked_fill_(a.labels[:, None] == b.labels, -torch.inf)
    return s


def _thresholds(queries: Labelled, images: Labelled) -> Thresholds:
    """The best match of each query, and how far rounding can move a similarity near it."""
    # |error| of a product of D terms in float32, or in float64, is below (D + 2) times half a unit
    # in the last place of the product of the norms; rounding the factors adds less than as much
    # again. Below their smallest normal number, terms are lost altogether.
    dim = queries.vectors.shape[1]
    norms = _norms(queries.vectors) * float(_norms(images.vectors).max())  # (Q,)
    peak = max(1.0, *(float(x.vectors.abs().amax()) for x in (queries, images)))
    error32 = (dim + 2) * 2.0**-23 * norms + dim * 2.0**-123 * peak
    error64 = (dim + 2) * 2.0**-52 * norms
    best = _best_match(queries, images)  # (Q,) float64
    # Rounded away from the best match, so that float32 thresholds cannot lose what they bound.
    low, high = (best - error32).float(), (best + error32).float()
    low, high = low - 2e-7 * low.abs(), high + 2e-7 * high.abs()
    return Thresholds(best, low, high, error64, BF16_ERROR * norms + error32)


def _norms(vectors: Tensor) -> Tensor:
    """(n,) norms in float64: the squares of small entries are below what float32 has.

    In parts, so that no copy of all vectors is made.
    """
    return torch.cat([part.double().norm(dim=1) for part in vectors.split(TILE_SIDE)])


def _best_match(queries: Labelled, images: Labelled) -> Tensor:
    """(Q,) float64 similarity of the nearest image of the query's class; -inf without one."""
    best = queries.vectors.new_full((len(queries.labels),), -torch.inf, dtype=torch.float64)
    # Narrow tiles: a block of queries meets the range of its classes, and of that each query
    # needs its own class alone.
    step = TILE_SIDE // 16
    for i in range(0, len(best), step):
        at = slice(i, i + step)
        vectors, labels = queries.exact[at].double(), queries.labels[at]  # (q, D), (q,)
        first = int(torch.searchsorted(images.labels, labels[:1]))
        end = int(torch.searchsorted(images.labels, labels[-1:], right=True))
        for j in range(first, end, TILE_SIDE):
            there = slice(j, min(j + TILE_SIDE, end))
            match = labels[:, None] == images.labels[there]  # (q, g)
            if images is queries:
                itself = torch.arange(i, i + len(labels), device=best.device)[:, None]
                match &= itself != torch.arange(there.start, there.stop, device=best.device)
            s = vectors @ images.exact[there].double().T  # (q, g)
            best[at] = torch.maximum(best[at], s.masked_fill_(~match, -torch.inf).amax(1))
    return best


def _count_in_tile(
    s: Tensor, queries: Labelled, others: Labelled, thresholds: Thresholds, unfinished: Tensor
) -> Tensor:
    """(q,) float64 number of the others at least as similar as the query's best match.

    Args:
        s: (q, g) float32 or bfloat16 similarities; -inf where the two are of one class.
        queries: q of them.
        others: g of them.
        thresholds: of the queries.
        unfinished: (q,) bool, queries to count for; the number is of no use for the rest.
    """
    if s.dtype == torch.bfloat16:
        best, _, _, tie, half = thresholds
        given = queries.exact, others.exact
        found = screen.count_screened(s, *given, best, half, tie, unfinished)
        if found is not None:
            return found
        s = _compare(queries, others, queries.vectors.new_empty(s.numel()))
    counts = torch.zeros_like(thresholds.best)
    # Rows in which anything can be ahead; where they are few, only these are gone through.
    rows = ((s.amax(1) >= thresholds.surely_less) & unfinished).nonzero().squeeze(1)  # (r,)
    if 4 * len(rows) < len(s):
        s = s[rows]  # (r, g)
    else:
        rows = torch.arange(len(s), device=s.device)
    # Comparisons written as float32 are the quickest to make and to add up.
    reached = torch.empty_like(s)
    possible, certain = (
        torch.ge(s, threshold[rows, None], out=reached).sum(1).double()  # (r,)
        for threshold in (thresholds.surely_less, thresholds.surely_more)
    )
    counts[rows] = certain
    undecided = rows[(possible > certain) & unfinished[rows]]  # (u,)
    if len(undecided):
        exact = queries.exact[undecided].double() @ others.exact.double().T  # (u, g)
        ahead = exact >= (thresholds.best - thresholds.tie)[undecided, None]
        ahead &= queries.labels[undecided, None] != others.labels
        counts[undecided] = ahead.sum(1).double()
    return counts
