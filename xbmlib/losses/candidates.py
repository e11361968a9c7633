"""The pairs of a mini-batch that can have a weight, found in a memory of any size.

Few entries of a memory form a positive pair, and few a negative pair above a loss's bound. The
search is one product and one maximum per tile of the memory, small enough for the cache. It keeps
the entries ("columns") that form such a pair with at least one anchor. On a GPU it would wait some
ten times for an answer, so a memory that is small for a GPU is not searched there: the block is
dense, every entry is a column. Where the search finds so many that a block cannot hold them, it
goes on as a :class:`Crowd`, for a loss that can be summed tile by tile.

Shapes: m anchors of D dimensions; M entries; P columns of positives, C columns of negatives; n
entries of a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from xbmlib import bfloat16
from xbmlib.losses.inputs import References
from xbmlib.queue import Shadow

# Similarities kept of one block of anchors: 1 Mi of float32 are 4 MiB, and a few such are alive.
BLOCK_LIMIT = 1 << 20
# More columns than any memory has.
NO_LIMIT = 1 << 40
# Entries of one tile: with 64 anchors, 1 MiB of float32 similarities, which stay in the cache.
# With fewer anchors a tile of the search holds more entries, up to this number of similarities.
TILE_ENTRIES, TILE_SIMILARITIES = 1 << 12, 1 << 18
# Similarities that the search keeps before it goes on as a crowd. No fewer than a block holds: what
# fits in one block is summed in one order only, and stored runs with it.
CROWD_LIMIT = BLOCK_LIMIT
# Share of a tile found from which a crowd takes it whole: to take most of it out costs more.
WHOLE_SHARE = 0.5
# A GPU's blocks are this much larger: a launch, and the wait for its answer, cost the same at any
# size.
GPU_SCALE = 16
# By device type: similarities up to which a block is dense, and those of one tile of the search;
# 64 MiB of float32. A mini-batch of 64 and a memory of 262,144 entries, more than any training set
# of the paper.
DENSE_LIMIT = {"cuda": GPU_SCALE * BLOCK_LIMIT}
# |error| of a bfloat16 product of unit vectors: each factor and the result are rounded by at most
# 2^-9 of them, by Cauchy-Schwarz; a third more for the sum, which is float32's.
BF16_ERROR = 4 * 2.0**-9


class Block(NamedTuple):
    """The pairs of a slice of the anchors with some columns of the memory.

    Attributes:
        rows: the slice, of m anchors.
        positive_columns: (P,) slots of this process's entries of the anchors' classes.
        positives: (m, P) similarities, the columns of all processes; +inf where the pair is
            negative or an anchor's own entry.
        negative_columns: (C,) slots of this process's entries with a negative above the bound.
        negatives: (m, C) similarities, the columns of all processes; -inf where the pair is
            positive.
        local_positives: columns of ``positives`` that belong to ``positive_columns``: all of them,
            unless other processes hold entries too.
        local_negatives: columns of ``negatives`` that belong to ``negative_columns``.
        dense: whether every entry is a column of both, in order.
    """

    rows: slice
    positive_columns: Tensor
    positives: Tensor
    negative_columns: Tensor
    negatives: Tensor
    local_positives: slice
    local_negatives: slice
    dense: bool = False


class Screened(NamedTuple):
    """A tile of the memory with an entry near enough to an anchor.

    Attributes:
        tile: its slots.
        hits: (h,) the places in it of such entries, h >= 1.
        similarities: (n, m) of the tile, valid until the search goes on; None if they were rounded.
    """

    tile: slice
    hits: Tensor
    similarities: Tensor | None


class Found(NamedTuple):
    """Entries of one tile that the search found.

    Attributes:
        places: slots of the entries: of a whole tile, or of those with an anchor above its bound.
        similarities: (n, m), valid until the search goes on.
    """

    places: slice | Tensor
    similarities: Tensor

    def columns(self, v: Tensor) -> Tensor:
        """The slots (n,), on the device of v."""
        if isinstance(self.places, Tensor):
            return self.places
        return torch.arange(self.places.start, self.places.stop, device=v.device)


class Crowd(NamedTuple):
    """A slice of the anchors, with more negatives above the bound than a block is to hold.

    Attributes:
        rows, positive_columns, positives: as of a :class:`Block`; this process holds all entries.
        labels: (m,) of the anchors.
        bound: (m,) similarity at or below which a negative has no weight.
        found: the negatives above it, and others, tile by tile; positive pairs are among them.
    """

    rows: slice
    positive_columns: Tensor
    positives: Tensor
    labels: Tensor
    bound: Tensor
    found: Iterator[Found]


def blocks(
    anchors: Tensor,
    labels: Tensor,
    refs: References,
    bound: Callable[[Tensor], Tensor],
    crowds: Callable[[Tensor], bool] | None = None,
) -> Iterator[Block | Crowd]:
    """The pairs of all anchors, block by block in bounded memory.

    Args:
        anchors: (m, D).
        labels: (m,).
        refs: what they are compared with.
        bound: positives (m, P) to the similarity (m,) at or below which a negative has no weight.
        crowds: whether the caller takes a crowd with positives (m, P); None for blocks only.
    """
    todo = [slice(0, len(anchors))]
    while todo:
        rows = todo.pop()
        block = _find_pairs(anchors, labels, refs, bound, rows, crowds)
        if block is not None:
            yield block
            # Here and in the caller: freed before the next block is made.
            del block
        elif rows.stop > rows.start:
            # Too many pairs at once: the first half of the anchors next, then the second.
            middle = (rows.start + rows.stop) // 2
            todo += [slice(middle, rows.stop), slice(rows.start, middle)]


def _find_pairs(
    anchors: Tensor,
    labels: Tensor,
    refs: References,
    bound: Callable[[Tensor], Tensor],
    rows: slice,
    crowds: Callable[[Tensor], bool] | None,
) -> Block | Crowd | None:
    """The pairs of a slice of anchors; None where they exceed BLOCK_LIMIT and can be split."""
    labels = labels[rows]  # (m,)
    entries = refs.memory if refs.memory is not None else anchors  # (M, D)
    # bf16 or fp16 similarities would round pairs across the bound.
    dtype = torch.promote_types(torch.promote_types(anchors.dtype, entries.dtype), torch.float32)
    v = anchors[rows].to(dtype)  # (m, D)
    dense_limit = DENSE_LIMIT.get(v.device.type, 0)
    if refs.exchange.holds_all and v.numel() and len(v) * len(entries) <= dense_limit:
        return _compare_all(v, entries, labels, refs, rows)
    max_columns = _gpu_scale(v) * BLOCK_LIMIT // len(v) if len(v) > 1 else NO_LIMIT
    positive_columns = _find_labels(refs.labels, labels)  # (P,)
    # Split by what all processes hold together, so that all of them split alike.
    if not len(v) or refs.exchange.total_columns(len(positive_columns)) > max_columns:
        return None
    s = torch.cat([v.new_empty(0, len(v)), *_compare_places(entries, positive_columns, v)]).T
    excluded = labels[:, None] != refs.labels[positive_columns]  # (m, P)
    if refs.own is not None:
        excluded |= refs.own[rows, None] == positive_columns
    positives, local_positives = refs.exchange.gather_columns(s.masked_fill(excluded, torch.inf))
    limits = bound(positives)  # (m,)
    screened = _screen(v, entries, refs.shadow, limits)
    alone = refs.memory is not None and refs.exchange.holds_all and v.device.type == "cpu"
    if alone and crowds is not None and crowds(positives):
        kept, all_kept = _take(screened, entries, v, CROWD_LIMIT // len(v), beyond=True)
        if not all_kept:
            rest = (_find(part, entries, v, WHOLE_SHARE) for part in screened)
            found = chain(kept, rest)
            return Crowd(rows, positive_columns, positives, labels, limits, found)
    elif len(entries) > max_columns and limits.amin() == -torch.inf:
        # Without a bound, every entry is found: no need to look.
        kept, all_kept = [], False
    else:
        kept, all_kept = _take(screened, entries, v, max_columns, beyond=False)
    columns = [part.columns(v) for part in kept]
    negative_columns = torch.cat([positive_columns[:0], *columns])  # (C,)
    # This is exchanged even where the search gave up: all processes have to take part.
    count = refs.exchange.total_columns(len(negative_columns) if all_kept else max_columns + 1)
    if not all_kept or count > max_columns:
        return None
    s = torch.cat([v.new_empty(0, len(v)), *(part.similarities for part in kept)])  # (C, m)
    s = s.T.contiguous()
    same_class = labels[:, None] == refs.labels[negative_columns]  # (m, C)
    negatives, local_negatives = refs.exchange.gather_columns(
        s.masked_fill_(same_class, -torch.inf)
    )
    return Block(
        rows,
        positive_columns,
        positives,
        negative_columns,
        negatives,
        local_positives,
        local_negatives,
    )


def _compare_all(
    v: Tensor, entries: Tensor, labels: Tensor, refs: References, rows: slice
) -> Block:
    """The dense block of a slice of anchors; nothing here waits for a GPU's answer."""
    columns = torch.arange(len(entries), device=v.device)  # (M,)
    # Entries are cast to the anchors' dtype a tile at a time.
    tiles = entries.split(4 * TILE_ENTRIES)  # (n, D) each
    s = torch.cat([v.new_empty(len(v), 0), *(v @ tile.to(v.dtype).T for tile in tiles)], 1)
    same_class = labels[:, None] == refs.labels  # (m, M)
    positives = s.masked_fill(~same_class, torch.inf)
    if refs.own is not None:
        positives.masked_fill_(refs.own[rows, None] == columns, torch.inf)
    negatives = s.masked_fill_(same_class, -torch.inf)
    return Block(rows, columns, positives, columns, negatives, slice(None), slice(None), dense=True)


def _find_labels(values: Tensor, wanted: Tensor) -> Tensor:
    """Places (P,), ascending, of the values (M,) that are among the wanted labels (m,)."""
    if not len(wanted) or not len(values):
        return torch.zeros(0, dtype=torch.int64, device=values.device)
    lowest, highest = (int(x) for x in wanted.aminmax())
    # A table would need labels beyond int64's ends.
    inside = lowest > -(2**63) and highest < 2**63 - 1
    if not inside or highest - lowest > 8 * len(values):
        ordered = wanted.sort().values
        place = torch.searchsorted(ordered, values.contiguous()).clamp_(max=len(ordered) - 1)
        return (ordered[place] == values).nonzero().squeeze(1)
    # A table of the labels is faster than a search; its two ends stand for all labels outside.
    table = torch.zeros(highest - lowest + 3, dtype=torch.bool, device=values.device)
    table[wanted - (lowest - 1)] = True
    return table[values.clamp(lowest - 1, highest + 1) - (lowest - 1)].nonzero().squeeze(1)


def tiles(entries: Tensor, places: slice | Tensor) -> Iterator[Tensor]:
    """The entries of some places, (n, D) at a time."""
    if isinstance(places, slice):
        yield from entries[places].split(TILE_ENTRIES)
    else:
        yield from (entries.index_select(0, part) for part in places.split(TILE_ENTRIES))


def _compare_places(entries: Tensor, places: slice | Tensor, v: Tensor) -> Iterator[Tensor]:
    """Similarities (n, m) of some entries in the anchors' dtype, a tile at a time."""
    yield from (tile.to(v.dtype) @ v.T for tile in tiles(entries, places))


def _take(
    screened: Iterator[Screened], entries: Tensor, v: Tensor, most: int, *, beyond: bool
) -> tuple[list[Found], bool]:
    """What is found, up to ``most`` entries, and whether that is all.

    Args:
        screened: the tiles, as far as they have not been taken.
        entries: (M, D).
        v: (m, D).
        most: number of entries.
        beyond: whether the tile that exceeds ``most`` is taken too; else it is lost.
    """
    kept: list[Found] = []
    count = 0
    for part in screened:
        count += len(part.hits)
        if count > most and not beyond:
            return kept, False
        found = _find(part, entries, v, 1)
        if found.similarities is part.similarities:
            # The buffer of the search.
            found = found._replace(similarities=found.similarities.clone())
        kept.append(found)
        if count > most:
            return kept, False
    return kept, True


def _find(part: Screened, entries: Tensor, v: Tensor, share: float) -> Found:
    """The entries of a tile that were hit, or the whole of it if such a share was."""
    whole = len(part.hits) >= share * (part.tile.stop - part.tile.start)
    places = part.tile if whole else part.hits + part.tile.start
    if part.similarities is None:
        return Found(places, torch.cat([*_compare_places(entries, places, v)]))
    s = part.similarities
    return Found(places, s if whole else s.index_select(0, part.hits))


def _screen(v: Tensor, entries: Tensor, shadow: Shadow | None, bound: Tensor) -> Iterator[Screened]:
    """Tiles of the memory with an anchor above its bound (m,)."""
    # A loss may compute its comparison in another order than its bound.
    bound = bound - 8 * torch.finfo(v.dtype).eps * (1 + bound.nan_to_num(0, 0, 0).abs())
    lowest = float(bound.amin())
    # If a shadow holds a NaN, so does its norm, and the bounds are NaN too.
    finite = shadow is not None
    if lowest == -torch.inf or not bfloat16.is_fast(v.device):
        shadow = None
    elif shadow is None and entries.dtype == torch.bfloat16:
        shadow = Shadow(entries, _largest_norm(entries))
    searched, query = entries, v  # (M, D), (m, D)
    if shadow is not None:
        searched, query = shadow.entries, v.bfloat16()
        bound = bound - BF16_ERROR * v.norm(dim=1).amax() * shadow.norm.to(v)
    lowest, one_bound = float(bound.amin()), bool(bound.amin() == bound.amax())
    above_zero = finite and lowest >= 0
    similarities = DENSE_LIMIT.get(v.device.type, TILE_SIMILARITIES)
    step = min(max(TILE_ENTRIES, similarities // max(1, len(v))), len(entries))
    buffer = query.new_empty(step, len(v))
    for start in range(0, len(entries), max(1, step)):
        tile = searched[start : start + step]  # (n, D)
        s = buffer[: len(tile)]  # (n, m)
        # Entries times anchors: of the four layouts of this product the fastest.
        torch.mm(tile.to(query.dtype), query.T, out=s)
        excess = _max_over_anchors(s, above_zero) - lowest if one_bound else (s - bound).amax(1)
        # Not "above", so that a diverged model's NaN is kept and reaches the loss.
        hits = (excess <= 0).logical_not_().nonzero().squeeze(1)
        if len(hits):
            yield Screened(slice(start, start + len(tile)), hits, s if query is v else None)


def _largest_norm(entries: Tensor) -> Tensor:
    """The largest norm of the entries (M, D), scalar, at least 1: what it is for unit vectors."""
    tiles = entries.split(TILE_ENTRIES) if len(entries) else ()
    norms = [torch.linalg.vector_norm(tile, dim=1, dtype=torch.float32).amax() for tile in tiles]
    # The rounding to bfloat16 takes some from 1 in either direction.
    return torch.stack([*norms, torch.ones((), device=entries.device) * 1.01]).amax()


def _gpu_scale(v: Tensor) -> int:
    return GPU_SCALE if v.is_cuda else 1


def _max_over_anchors(s: Tensor, above_zero: bool) -> Tensor:
    """The highest similarity (n,) of each entry, in float32.

    Args:
        s: (n, m).
        above_zero: whether only what exceeds 0 matters and nothing is NaN. Then bfloat16's bits
            order as integers do, whose maximum torch computes fastest.
    """
    if s.dtype != torch.bfloat16:
        return s.amax(1)
    if above_zero:
        return s.view(torch.int16).amax(1).view(torch.bfloat16).float()
    return s.float().amax(1)
