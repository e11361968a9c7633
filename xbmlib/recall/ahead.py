"""How many images rank before a query's best match: all that Recall@K needs.

Nothing is sorted. One float32 product, of which leave-one-out needs half (S_ij = S_ji), places
all but the few images that are as near as the best match up to rounding; these are placed by a
float64 product, so that the counts are those of float64 throughout, ties included.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Queries and images of one tile: 4 Mi float32 similarities are 16 MiB.
SIDE = 2048


class Side(NamedTuple):
    """Queries or gallery in the order of their labels, so that a class is a range.

    Attributes:
        vectors: (n, D) float32.
        labels: (n,) ascending.
    """

    vectors: Tensor
    labels: Tensor

    def part(self, start: int) -> Side:
        """The part of a tile."""
        return Side(self.vectors[start : start + SIDE], self.labels[start : start + SIDE])


class Bounds(NamedTuple):
    """What a query's similarities are held against, (n,) each.

    Attributes:
        best: similarity of its best match, in float64.
        low: below it, a float32 similarity is certainly less than ``best``.
        high: from it on, a float32 similarity is certainly more.
        tie: similarities this much apart are equal in float64.
    """

    best: Tensor
    low: Tensor
    high: Tensor
    tie: Tensor


@torch.no_grad()
def images_ahead(
    query: Tensor,
    query_labels: Tensor,
    gallery: Tensor | None,
    gallery_labels: Tensor | None,
    most: int,
) -> Tensor:
    """For each query, the images of other classes at least as similar as its best match.

    Args:
        query: (Q, D) finite.
        query_labels: (Q,).
        gallery: (G, D) finite; None for leave-one-out.
        gallery_labels: (G,).
        most: counts of this and more may all be told as any number of at least this.

    Returns:
        (Q,) float64; infinite where there is no match.
    """
    order = query_labels.argsort(stable=True)
    queries = Side(query[order].float(), query_labels[order])
    images = queries
    if gallery is not None and gallery_labels is not None:
        into = gallery_labels.argsort(stable=True)
        images = Side(gallery[into].float(), gallery_labels[into])
    counts = _counts(queries, images, most)
    return torch.empty_like(counts).scatter_(0, order, counts)


def _counts(queries: Side, images: Side, most: int) -> Tensor:
    alone = images is queries
    # |error| of a product of D terms in float32, or in float64, is below (D + 2) times half a unit
    # in the last place of the lengths' product.
    lengths = queries.vectors.norm(dim=1).double() * float(images.vectors.norm(dim=1).max())
    unsure, tie = ((queries.vectors.shape[1] + 2) * eps * lengths for eps in (2.0**-23, 2.0**-52))
    best = _best(queries, images)
    # Rounded away from the best match, so that float32 bounds cannot lose what they bound.
    low, high = (best - unsure).float(), (best + unsure).float()
    low, high = low - 2e-7 * low.abs(), high + 2e-7 * high.abs()
    bounds = Bounds(best, low, high, tie)
    counts = torch.zeros_like(best)
    size = min(SIDE, len(queries.labels)) * min(SIDE, len(images.labels))
    buffer = queries.vectors.new_empty(size)
    for i in range(0, len(queries.labels), SIDE):
        for j in range(i if alone else 0, len(images.labels), SIDE):
            a, b = queries.part(i), images.part(j)
            s = buffer[: len(a.labels) * len(b.labels)].view(len(a.labels), -1)
            torch.mm(a.vectors, b.vectors.T, out=s)
            if a.labels[-1] >= b.labels[0] and b.labels[-1] >= a.labels[0]:
                s.masked_fill_(a.labels[:, None] == b.labels, -torch.inf)
            # Off the diagonal, a tile serves both of its sides as queries.
            sides = [(i, a, b, s), (j, b, a, s.T)][: 2 if alone and j > i else 1]
            for start, asked, others, similarities in sides:
                at = slice(start, start + len(asked.labels))
                of = Bounds(*(bound[at] for bound in bounds))
                counts[at] += _reached(similarities, asked, others, of, counts[at] < most)
    return counts.masked_fill_(best == -torch.inf, torch.inf)


def _reached(s: Tensor, asked: Side, others: Side, of: Bounds, wanted: Tensor) -> Tensor:
    """(q,) float64 number of the others at least as similar as the best match.

    Args:
        s: (q, n) similarities in float32; -inf where the two are of one class.
        asked: the queries.
        others: the images.
        of: the queries' bounds.
        wanted: (q,) bool, whether the number is of use.
    """
    out = torch.zeros_like(of.best)
    rows = ((s.amax(1) >= of.low) & wanted).nonzero().squeeze(1)
    if 4 * len(rows) < len(s):
        s = s[rows]
    else:
        rows = torch.arange(len(s), device=s.device)
    # Comparisons as float32 are the quickest to make and to add up.
    above = torch.empty_like(s)
    near, sure = (
        torch.ge(s, bound[rows, None], out=above).sum(1).double() for bound in (of.low, of.high)
    )
    out[rows] = sure
    unsure = rows[(near > sure) & wanted[rows]]
    if len(unsure):
        exact = asked.vectors[unsure].double() @ others.vectors.double().T
        reached = exact >= (of.best - of.tie)[unsure, None]
        reached &= asked.labels[unsure, None] != others.labels
        out[unsure] = reached.sum(1).double()
    return out


def _best(queries: Side, images: Side) -> Tensor:
    """(Q,) similarity of the best match, in float64; -inf where there is none."""
    best = queries.vectors.new_full((len(queries.labels),), -torch.inf, dtype=torch.float64)
    # Narrow tiles: what is computed beside the classes' own ranges is lost.
    step = SIDE // 16
    for i in range(0, len(best), step):
        at = slice(i, i + step)
        vectors, labels = queries.vectors[at].double(), queries.labels[at]
        first = int(torch.searchsorted(images.labels, labels[:1]))
        last = int(torch.searchsorted(images.labels, labels[-1:], right=True))
        for j in range(first, last, SIDE):
            there = slice(j, min(j + SIDE, last))
            match = labels[:, None] == images.labels[there]
            if images is queries:
                own = torch.arange(i, i + len(labels), device=best.device)[:, None]
                match &= own != torch.arange(there.start, there.stop, device=best.device)
            s = vectors @ images.vectors[there].double().T
            best[at] = torch.maximum(best[at], s.masked_fill_(~match, -torch.inf).amax(1))
    return best
