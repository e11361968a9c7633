"""Counting ahead of a best match by a bfloat16 product, which a GPU computes many times faster.

The product decides for images whose similarity is further from the best match's than bfloat16 may
err; for the rest, pair by pair, the float64 product of the embeddings as they were given.

Shapes: q queries and g gallery images of one tile, D dimensions.
"""

from __future__ import annotations

from torch import Tensor

# Types of device on which tiles are screened.
DEVICES = {"cuda"}
# Undecided pairs compared at a time: at D = 512 two factors of 256 MiB in float64.
PAIRS = 1 << 16
# One pair of so many may be undecided: with more, whole products are faster.
RARE = 256


def count_screened(
    s: Tensor,
    queries: Tensor,
    others: Tensor,
    best: Tensor,
    error: Tensor,
    tie: Tensor,
    unfinished: Tensor,
) -> Tensor | None:
    """(q,) float64 number of the others at least as similar as the query's best match.

    Args:
        s: (q, g) bfloat16 similarities; -inf where the two are of one class.
        queries: (q, D) as they were given.
        others: (g, D) likewise.
        best: (q,) float64 similarity of the best match; -inf without a match.
        error: (q,) float64 bound of the error of ``s``.
        tie: (q,) float64 similarities that differ by no more than this count as equal.
        unfinished: (q,) bool, queries to count for; the number is of no use for the rest.

    Returns:
        None, if too many pairs are undecided.
    """
    unfinished = unfinished & best.isfinite()
    above = s > (best + error).float()[:, None]  # (q, g) bool
    undecided = s >= (best - error).float()[:, None]
    undecided &= unfinished[:, None]
    undecided &= ~above
    pairs = undecided.nonzero()  # (n, 2)
    if len(pairs) * RARE > s.numel():
        return None
    counts = above.sum(1).double()
    for part in pairs.split(PAIRS):
        i, j = part.unbind(1)
        exact = (queries[i].double() * others[j].double()).sum(1)
        counts.index_add_(0, i, (exact >= (best - tie)[i]).double())
    return counts
