"""Similarities of queries and gallery, a tile at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from xbmlib.integers import as_labels, whole_number

# Entries up to this factor from 1 have products that float32 holds.
SAFE = 2.0**40
# float64 loses similarities of embeddings that are smaller than the largest by this factor.
SMALLEST = 2.0**-480
# Similarities of one tile: 8 Mi of float32 are 32 MiB.
TILE = 1 << 23


def checked_ks(ks: Iterable[int]) -> list[int]:
    """The K of R@K as Python's integers.

    Raises:
        ValueError: no list of whole numbers of at least 1.
    """
    if not isinstance(ks, Iterable):
        raise ValueError(f"ks={ks!r}: give a list of K, such as [1, 10]")
    found = [whole_number("a K of ks", k) for k in ks]
    if not found or min(found) < 1:
        raise ValueError(f"ks={tuple(found)}: give at least one K, each at least 1")
    return found


class Tile(NamedTuple):
    """Similarities of a block of q queries; overwritten by the next block.

    Attributes:
        matches: (q, P) similarities to the images of the query's class, padded by -inf.
        others: (q, G) similarities to all images, those of the query's class at -inf.
    """

    matches: Tensor
    others: Tensor


@torch.no_grad()
def tiles(
    query: Tensor, query_labels: Tensor, gallery: Tensor | None, gallery_labels: Tensor | None
) -> Iterator[Tile]:
    """Blocks of queries against the whole gallery, in bounded memory.

    Arguments and errors as for :func:`xbmlib.recall.recall_at_k`.
    """
    query_labels, target_labels = checked_labels(query, query_labels, gallery, gallery_labels)
    query, targets = comparable(query, gallery)  # (Q, D), (G, D)
    # Images of one class lie side by side in this order: a class is a range of it.
    order = target_labels.argsort(stable=True)  # (G,)
    ordered = target_labels[order].contiguous()
    first = torch.searchsorted(ordered, query_labels.contiguous())  # (Q,)
    counts = torch.searchsorted(ordered, query_labels.contiguous(), right=True) - first  # (Q,)
    copies, originals = _copies(targets)
    # A match costs about as much as eight other images.
    rows = max(1, TILE // max(len(targets), 8 * int(counts.max())))
    buffer = targets.new_empty(min(rows, len(query)), len(targets))
    for block in torch.arange(len(query), device=query.device).split(rows):
        s = torch.mm(query[block], targets.T, out=buffer[: len(block)])  # (q, G)
        s[:, copies] = s[:, originals]
        if gallery is None:
            s.scatter_(1, block[:, None], -torch.inf)
        # Indices of each query's class, (q, P), padded by any index where the class is smaller.
        offset = torch.arange(max(1, int(counts[block].max())), device=s.device)  # (P,)
        present = offset < counts[block, None]  # (q, P) bool
        places = order[torch.where(present, first[block, None] + offset, 0)]  # (q, P)
        matches = s.gather(1, places).masked_fill_(~present, -torch.inf)  # (q, P)
        rows_at, columns_at = present.nonzero(as_tuple=True)
        s[rows_at, places[rows_at, columns_at]] = -torch.inf
        yield Tile(matches, s)


def _copies(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of vectors that equal an earlier one, and of the first vector that each equals.

    A product sums its terms in an order that depends on the column, so that equal vectors differ
    in their last bits and would not tie: a copy takes over its original's similarity instead.
    """
    index = torch.arange(len(vectors), device=vectors.device)  # (G,)
    unique, group = vectors.unique(dim=0, return_inverse=True)
    original = index.new_full((len(unique),), len(vectors)).scatter_reduce_(0, group, index, "amin")
    copies = (original[group] < index).nonzero().squeeze(1)
    return copies, original[group[copies]]


def checked_labels(
    query: Tensor, query_labels: Tensor, gallery: Tensor | None, gallery_labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The labels of the queries and of the vectors to search in int64, after a check of all.

    Raises:
        ValueError: as :func:`xbmlib.recall.recall_at_k`.
    """
    if (gallery is None) != (gallery_labels is None):
        raise ValueError("gallery and gallery_labels come together: give both or neither")
    targets = checked_gallery(query, gallery)
    query_labels = as_labels("labels of the queries", query_labels)
    target_labels = query_labels
    if gallery_labels is not None:
        target_labels = as_labels("labels of the gallery", gallery_labels)
    for labels, vectors in ((query_labels, query), (target_labels, targets)):
        if labels.shape != vectors.shape[:1]:
            raise ValueError(
                f"labels {tuple(labels.shape)} for embeddings {tuple(vectors.shape)}: give (n,)"
            )
        if labels.device != vectors.device:
            raise ValueError(f"labels on {labels.device}, embeddings on {vectors.device}: move one")
    return query_labels, target_labels


def checked_gallery(query: Tensor, gallery: Tensor | None) -> Tensor:
    """The vectors to search, after a check: the gallery, or without one the queries.

    Raises:
        ValueError: no vectors, shapes that do not agree, or embeddings that are not floating point
            or not finite.
    """
    for name, vectors in (("query", query), ("gallery", query if gallery is None else gallery)):
        if not isinstance(vectors, Tensor):
            raise ValueError(f"{name} of type {type(vectors).__name__}: give a tensor")
        if vectors.ndim != 2 or not vectors.numel():
            raise ValueError(f"{name} {tuple(vectors.shape)}: give (n, D), both at least 1")
        if not vectors.is_floating_point():
            raise ValueError(f"{name} of {vectors.dtype}: give embeddings in floating point")
        if not bool(vectors.isfinite().all()):
            raise ValueError(f"{name}: embeddings that are not finite; did the training diverge?")
    if gallery is None:
        return query
    if gallery.shape[1] != query.shape[1]:
        raise ValueError(
            f"gallery of D = {gallery.shape[1]}, queries of D = {query.shape[1]}: embed both with "
            "one network"
        )
    return gallery


@torch.no_grad()
def comparable(query: Tensor, gallery: Tensor | None) -> tuple[Tensor, Tensor]:
    """Queries and the vectors to search, such that no similarity overflows or is lost.

    float32, or float64 where any of them has more digits or is beyond float32's products; then
    each side is multiplied by a power of two, which is exact and leaves every ranking as it is.

    Raises:
        ValueError: embeddings whose norms are too far apart for float64.
    """
    sides = [query] if gallery is None else [query, gallery]
    peaks = [max(-float(low), float(high)) for low, high in (side.aminmax() for side in sides)]
    precise = any(side.dtype == torch.float64 for side in sides)
    if not precise and all(peak == 0 or 1 / SAFE <= peak <= SAFE for peak in peaks):
        sides = [side.float() for side in sides]
    else:
        sides = [_scaled(*pair) for pair in zip(sides, peaks, strict=True)]
    return sides[0], sides[-1]


def _scaled(vectors: Tensor, peak: float) -> Tensor:
    """Vectors whose largest entry is ``peak``, in float64 and with that entry in [0.5, 1)."""
    exponent = -math.frexp(peak)[1]
    # In two steps, each of which is in float64's range.
    half = exponent // 2
    scaled = vectors.double() * 2.0**half * 2.0 ** (exponent - half)  # (n, D)
    if bool(((scaled.abs().amax(1) < SMALLEST) & vectors.any(1)).any()):
        raise ValueError(
            f"embeddings of which some are {1 / SMALLEST:.0e} times smaller than others: normalise "
            "them, or leave those out"
        )
    return scaled
