"""The pairs of a batch that can have a weight, out of a memory of any size.

A memory holds few pairs of the anchors' classes, and few negatives above a loss's bound. So the
pass over it is one product and one maximum, tile by tile in the cache; what is kept are the
entries ("columns") in which at least one anchor has such a pair. On a GPU that costs some ten waits
for an answer, so a memory that is small to a GPU is taken whole there, every entry a column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from xbmlib.losses.inputs import References
from xbmlib.queue import Shadow

# Similarities kept of one block of anchors: 1 Mi of float32 are 4 MiB, and a few such live.
BLOCK = 1 << 20
# More columns than any memory has.
ANY = 1 << 40
# Entries of one tile: with 64 anchors, 1 MiB of float32 similarities, which stay in the cache.
# With fewer anchors a tile of the search holds more entries, for as many similarities.
TILE, PAIRS = 1 << 12, 1 << 18
# A GPU keeps so many times as many: what a launch and the wait for its answer cost does not depend
# on the size.
GPU = 16
# Similarities of one tile there, and up to which all are kept; 64 MiB of float32. A batch of 64 and
# a memory of 262,144 entries, more than any training set of the paper.
WHOLE = {"cuda": GPU * BLOCK}
# |error| of a bfloat16 product of unit vectors: each factor and the result are rounded by at most
# 2^-9 of them, by Cauchy-Schwarz; a third more for the sum, which is float32's.
BF16_ERROR = 4 * 2.0**-9


class Block(NamedTuple):
    """Pairs of a slice of the anchors; C and P columns of the memory take part.

    Attributes:
        at: the slice, of m anchors.
        matched: (P,) columns of the anchors' classes.
        positives: (m, P) similarities; +inf where the pair is not of one class, or its own.
        near: (C,) columns with a negative above the bound.
        negatives: (m, C) similarities; -inf where the pair is of one class.
        own_positives: columns of ``positives`` that are those of ``matched``: all of them, unless
            other processes hold entries too.
        own_negatives: columns of ``negatives`` that are those of ``near``.
        whole: whether every entry is a column of both.
    """

    at: slice
    matched: Tensor
    positives: Tensor
    near: Tensor
    negatives: Tensor
    own_positives: slice
    own_negatives: slice
    whole: bool = False


def blocks(
    anchors: Tensor,
    labels: Tensor,
    refs: References,
    bound: Callable[[Tensor], Tensor],
) -> Iterator[Block]:
    """The pairs of blocks of anchors, in bounded memory.

    Args:
        anchors: (m, D).
        labels: (m,).
        refs: what they are compared with.
        bound: positives (m, P) to the similarity (m,) at or below which negatives do not count.
    """
    todo = [slice(0, len(anchors))]
    while todo:
        at = todo.pop()
        block = _block(anchors, labels, refs, bound, at)
        if block is not None:
            yield block
            # Here and where it goes: freed before the next one is made.
            del block
        elif at.stop > at.start:
            # Too many pairs at once: half of the anchors first, then the others.
            middle = (at.start + at.stop) // 2
            todo += [slice(middle, at.stop), slice(at.start, middle)]


def _block(
    anchors: Tensor,
    labels: Tensor,
    refs: References,
    bound: Callable[[Tensor], Tensor],
    at: slice,
) -> Block | None:
    """The pairs of a slice of anchors; None where they exceed BLOCK and can be split."""
    labels, vectors = labels[at], refs.memory if refs.memory is not None else anchors
    # bf16 or fp16 similarities would round pairs across the bound.
    dtype = torch.promote_types(torch.promote_types(anchors.dtype, vectors.dtype), torch.float32)
    v = anchors[at].to(dtype)
    if refs.exchange.alone and v.numel() and len(v) * len(vectors) <= WHOLE.get(v.device.type, 0):
        return _whole(v, vectors, labels, refs, at)
    most = _scale(v) * BLOCK // len(v) if len(v) > 1 else ANY
    matched = _members(refs.labels, labels)
    # Whether to split is decided by what all processes hold, so that they go on alike.
    if not len(v) or refs.exchange.columns(len(matched)) > most:
        return None
    positives = torch.cat([v.new_empty(0, len(v)), *_products(vectors, matched, v)]).T
    no_pair = labels[:, None] != refs.labels[matched]
    if refs.own is not None:
        no_pair |= refs.own[at, None] == matched
    positives, own_positives = refs.exchange.join(positives.masked_fill(no_pair, torch.inf))
    found = _above(v, vectors, refs.shadow, bound(positives), most)
    count = refs.exchange.columns(most + 1 if found is None else len(found[0]))
    if found is None or count > most:
        return None
    near, negatives = found
    same = labels[:, None] == refs.labels[near]
    negatives, own_negatives = refs.exchange.join(negatives.masked_fill_(same, -torch.inf))
    return Block(at, matched, positives, near, negatives, own_positives, own_negatives)


def _whole(v: Tensor, vectors: Tensor, labels: Tensor, refs: References, at: slice) -> Block:
    """All pairs of a slice of anchors; nothing here waits for a GPU's answer."""
    columns = torch.arange(len(vectors), device=v.device)
    # Entries are brought to the anchors' dtype a part at a time.
    parts = vectors.split(4 * TILE)
    s = torch.cat([v.new_empty(len(v), 0), *(v @ part.to(v.dtype).T for part in parts)], 1)
    same = labels[:, None] == refs.labels
    positives = s.masked_fill(~same, torch.inf)
    if refs.own is not None:
        positives.masked_fill_(refs.own[at, None] == columns, torch.inf)
    negatives = s.masked_fill_(same, -torch.inf)
    return Block(at, columns, positives, columns, negatives, slice(None), slice(None), whole=True)


def _members(values: Tensor, wanted: Tensor) -> Tensor:
    """Places of the values that are among the wanted ones."""
    if not len(wanted) or not len(values):
        return torch.zeros(0, dtype=torch.int64, device=values.device)
    least, most = (int(x) for x in wanted.aminmax())
    if most - least > 8 * len(values):
        ordered = wanted.sort().values
        place = torch.searchsorted(ordered, values.contiguous()).clamp_(max=len(ordered) - 1)
        return (ordered[place] == values).nonzero().squeeze(1)
    # A table of the labels is quicker than a search; its ends stand for all that lie outside.
    table = torch.zeros(most - least + 3, dtype=torch.bool, device=values.device)
    table[wanted - (least - 1)] = True
    return table[values.clamp(least - 1, most + 1) - (least - 1)].nonzero().squeeze(1)


def _products(vectors: Tensor, columns: Tensor, v: Tensor) -> Iterator[Tensor]:
    """Similarities (columns, m) in the anchors' dtype, a tile at a time."""
    for part in columns.split(TILE):
        yield vectors.index_select(0, part).to(v.dtype) @ v.T


def _above(
    v: Tensor, vectors: Tensor, shadow: Shadow | None, bound: Tensor, most: int
) -> tuple[Tensor, Tensor] | None:
    """Columns in which an anchor is above its bound, and their similarities (m, C).

    None, as soon as there are more than ``most``.
    """
    # A loss may compute its comparison in another order than its bound.
    bound = bound - 8 * torch.finfo(v.dtype).eps * (1 + bound.nan_to_num(0, 0, 0).abs())
    least = float(bound.amin())
    if least == -torch.inf and len(vectors) > most:
        return None
    # The length of a shadow with a NaN is one, and so are the bounds.
    finite = shadow is not None
    if shadow is None and vectors.dtype == torch.bfloat16:
        shadow = Shadow(vectors, v.new_tensor(1.01))
    searched, probe = vectors, v
    if shadow is not None and least > -torch.inf:
        searched, probe = shadow.entries, v.bfloat16()
        bound = bound - BF16_ERROR * v.norm(dim=1).amax() * shadow.norm.to(v)
    least, alike = float(bound.amin()), bool(bound.amin() == bound.amax())
    by_bits = finite and least >= 0
    pairs = WHOLE.get(v.device.type, PAIRS)
    step = min(max(TILE, pairs // max(1, len(v))), len(vectors))
    s = probe.new_empty(step, len(v))
    columns: list[Tensor] = []
    kept: list[Tensor] = []
    count = 0
    for start in range(0, len(vectors), max(1, step)):
        tile = searched[start : start + step]
        part = s[: len(tile)]
        # Entries times anchors: the product of that shape is the quickest of the four.
        torch.mm(tile.to(probe.dtype), probe.T, out=part)
        high = _highest(part, by_bits) - least if alike else (part - bound).amax(1)
        # Not "above", so that a diverged model's NaN is kept and reaches the loss.
        there = (high <= 0).logical_not_().nonzero().squeeze(1)
        count += len(there)
        if count > most:
            return None
        if len(there):
            columns.append(there + start)
            exact = probe is v
            kept += [part.index_select(0, there)] if exact else _products(vectors, columns[-1], v)
    none = torch.zeros(0, dtype=torch.int64, device=v.device)
    similarities = torch.cat([v.new_empty(0, len(v)), *kept])
    return torch.cat([none, *columns]), similarities.T.contiguous()


def _scale(v: Tensor) -> int:
    return GPU if v.is_cuda else 1


def _highest(part: Tensor, by_bits: bool) -> Tensor:
    """The highest similarity (n,) of each entry, in float32.

    Args:
        part: (n, m).
        by_bits: whether only what exceeds 0 matters and nothing is NaN. Then bfloat16's bits order
            as integers do, whose maximum torch is quickest at.
    """
    if part.dtype != torch.bfloat16:
        return part.amax(1)
    if by_bits:
        return part.view(torch.int16).amax(1).view(torch.bfloat16).float()
    return part.float().amax(1)
