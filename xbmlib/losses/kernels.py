# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""Triton kernels of a loss that streams a memory once; :mod:`xbmlib.losses.stream` calls them.

Each program takes its share of the entries, so that a batch of 64 anchors fills a GPU. Sums are
kept per program and added up afterwards, in an order that does not change from run to run.

A kernel is compiled for each value of what is in capitals, and not for the numbers of anchors,
entries and positives, which change while a memory fills.

Shapes: m anchors of D dimensions, M entries, R ranked positives; BLOCK_* of them in one tile.
Anchors are float32.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.runtime.interpreter import InterpretedFunction


@triton.jit
def similarity(s, a, b):
    """S itself: the loss of a negative whose weight is 1."""
    return s


@triton.jit
def one(s, a, b):
    """The weight of a negative that counts with its similarity."""
    return s * 0 + 1


# TRITON_INTERPRET=1: the kernels run on a CPU, line by line.
INTERPRETED = isinstance(one, InterpretedFunction)


_compiled = triton.jit(
    do_not_specialize=["m", "M", "R", "capacity"], do_not_specialize_on_alignment=["count"]
)


@_compiled
def find_labels(labels, entry_labels, flags, m, M, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """Flag (M,) the entries whose label is among those of the anchors."""
    columns = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    wanted = tl.load(entry_labels + columns, columns < M, 0)
    found = tl.zeros((BLOCK_N,), tl.int32)
    for start in range(0, m, BLOCK_M):
        rows = start + tl.arange(0, BLOCK_M)
        own = tl.load(labels + rows, rows < m, 0)
        same = (own[:, None] == wanted[None, :]) & (rows < m)[:, None]
        found = tl.maximum(found, tl.max(same.to(tl.int32), 0))
    tl.store(flags + columns, found.to(tl.int8), columns < M)


@_compiled
def screen(
    anchors, labels, entries, entry_labels, floor, slack, flags, m, M,
    D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    HALF: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    """Flag the entries that may be a negative above an anchor's floor: the one read of the memory.

    Args:
        anchors, labels, entries, entry_labels: (m, D), (m,), (M, D), (M,).
        floor: (m,) the bound, less what its own rounding may move it.
        slack: (m,) by how much a rounded similarity may err, per unit of the entry's norm.
        flags: (anchors' tiles, M) int8.
        m, M: numbers of anchors and entries.
        D: dimension.
        BLOCK_M, BLOCK_N, BLOCK_D: of a tile.
        HALF: whether entries are bfloat16, and so is the product; else it is TF32.
        WIDEN: whether a bfloat16 product is taken in float32, as Triton's interpreter has to.
    """
    rows = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    places = columns.to(tl.int64) * D
    s = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    squares = tl.zeros((BLOCK_N,), tl.float32)
    for start in range(0, D, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        v = tl.load(anchors + rows[:, None] * D + d, (rows < m)[:, None] & (d < D), 0.0)
        inside = (columns < M)[None, :] & (d < D)[:, None]
        e = tl.load(entries + places[None, :] + d[:, None], inside, 0.0)
        wide = e.to(tl.float32)
        squares += tl.sum(wide * wide, 0)
        if HALF:
            rounded = v.to(tl.bfloat16)
            s = tl.dot(rounded.to(tl.float32), wide, s) if WIDEN else tl.dot(rounded, e, s)
        else:
            s = tl.dot(v, wide, s, input_precision="tf32")
    bound = tl.load(floor + rows, rows < m, 0.0)
    error = tl.load(slack + rows, rows < m, 0.0)
    lowest = bound[:, None] - error[:, None] * tl.sqrt(squares)[None, :]
    same = (
        tl.load(labels + rows, rows < m, 0)[:, None]
        == (tl.load(entry_labels + columns, columns < M, 0)[None, :])
    )
    # Not "above", so that a NaN is kept and reaches the loss.
    above = (s <= lowest) == 0
    hits = above & (same == 0) & (rows < m)[:, None]
    found = tl.max(hits.to(tl.int32), 0)
    tl.store(flags + tl.program_id(1) * M + columns, found.to(tl.int8), columns < M)


@_compiled
def compact(flags, ranks, columns, M, capacity, BLOCK_N: tl.constexpr):
    """Write the flagged columns, in order, to the first places of ``columns``.

    Args:
        flags: (M,) int8.
        ranks: (M,) int32 number of flags up to and with each.
        columns: (capacity,) int32.
        M: number of flags.
        capacity: columns beyond it are left out.
        BLOCK_N: of a tile.
    """
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    flagged = tl.load(flags + n, n < M, 0) != 0
    place = tl.load(ranks + n, n < M, 0) - 1
    tl.store(columns + place, n, flagged & (n < M) & (place < capacity))


@triton.jit
def _compare(anchors, entries, rows, row_inside, places, inside, D: tl.constexpr,
             BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr):  # fmt: skip
    """Similarities (BLOCK_M, BLOCK_N) of anchors with gathered entries, to float32's digits."""
    s = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, D, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        v = tl.load(anchors + rows[:, None] * D + d, row_inside[:, None] & (d < D), 0.0)
        e = tl.load(entries + places[None, :] + d[:, None], inside[None, :] & (d < D)[:, None], 0.0)
        s = tl.dot(v, e.to(tl.float32), s, input_precision="tf32x3")
    return s


@triton.jit
def _below(ranked, rows, row_inside, x, R, STEPS: tl.constexpr):
    """Number of an anchor's ranked positives below each x; all of them for a NaN."""
    low = tl.zeros(x.shape, tl.int32)
    high = low + R
    for _ in range(STEPS):
        middle = (low + high) // 2
        searched = (low < high) & row_inside[:, None]
        value = tl.load(ranked + rows[:, None] * R + middle, searched, 0.0)
        # Not "below", so that a NaN is above all of them and reaches the loss.
        under = ((value >= x) == 0) & searched
        low = tl.where(under, middle + 1, low)
        high = tl.where(searched & (under == 0), middle, high)
    return low


@_compiled
def statistics(
    anchors, labels, entries, entry_labels, columns, count, bound, ranked,
    totals, hardest, valid, below, m, R, a, b,
    D: tl.constexpr, STEPS: tl.constexpr, SHARES: tl.constexpr,
    NEEDS: tl.constexpr, TERM: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """What a loss has to know of an anchor's valid negatives before it can weigh one.

    Args:
        anchors, labels, entries, entry_labels: (m, D), (m,), (M, D), (M,).
        columns: (M,) int32, of which the first ``count`` hold a negative that may be valid.
        count: scalar int32 on the device.
        bound: (m,) similarity at or below which a negative has no weight.
        ranked: (m, R) positives in ascending order, for NEEDS == "ranks".
        totals: (SHARES, m) sum of terms, or the logarithm of a sum of exponentials.
        hardest: (SHARES, m) the most similar valid negative, or -inf.
        valid: (SHARES, m) int32 number of valid negatives.
        below: (m, R + 1) int32 zeros: negatives with r ranked positives below them.
        m, R, a, b: numbers of anchors and of positives; the stream's numbers.
        D, STEPS: dimension; steps of a search among the positives.
        SHARES: programs that share the columns.
        NEEDS, TERM: the stream's.
        BLOCK_M, BLOCK_N, BLOCK_D: of a tile.
    """
    rows = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    inside_m = rows < m
    limit = tl.load(bound + rows, inside_m, 0.0)
    label = tl.load(labels + rows, inside_m, 0)
    found = tl.load(count)
    total = tl.zeros((BLOCK_M,), tl.float32)
    peak = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    most = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    number = tl.zeros((BLOCK_M,), tl.int32)
    for start in range(tl.program_id(0) * BLOCK_N, found, SHARES * BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        inside = n < found
        column = tl.load(columns + n, inside, 0)
        s = _compare(anchors, entries, rows, inside_m, column.to(tl.int64) * D, inside, D,
                     BLOCK_M, BLOCK_N, BLOCK_D)  # fmt: skip
        other = tl.load(entry_labels + column, inside, 0)
        negative = (label[:, None] != other[None, :]) & inside[None, :] & inside_m[:, None]
        counts = negative & ((s <= limit[:, None]) == 0)
        if NEEDS == "ranks":
            lower = _below(ranked, rows, inside_m, s + a, R, STEPS)
            counts = negative & (lower > 0)
            total += tl.sum(tl.where(counts, lower * (s + a), 0.0), 1)
            places = below + rows[:, None] * (R + 1) + lower
            # Whole numbers: their sum does not depend on its order.
            tl.atomic_add(places, 1, counts)
        elif NEEDS == "log_sum":
            exponent = tl.where(counts, a * (s - b), float("-inf"))
            # The sum is kept relative to the largest exponent so far.
            higher = tl.maximum(peak, tl.max(exponent, 1))
            scale = tl.where(higher == float("-inf"), 0.0, higher)
            total = total * tl.exp(peak - scale) + tl.sum(tl.exp(exponent - scale[:, None]), 1)
            peak = higher
        else:
            total += tl.sum(tl.where(counts, TERM(s, a, b), 0.0), 1)
        most = tl.maximum(most, tl.max(tl.where(counts, s, float("-inf")), 1))
        number += tl.sum(counts.to(tl.int32), 1)
    if NEEDS == "log_sum":
        none = peak == float("-inf")
        total = tl.where(none, peak, peak + tl.log(tl.where(none, 1.0, total)))
    at = tl.program_id(0) * m + rows
    tl.store(totals + at, total, inside_m)
    tl.store(hardest + at, most, inside_m)
    tl.store(valid + at, number, inside_m)


@_compiled
def gradient(
    anchors, labels, entries, entry_labels, columns, count, bound, ranked, offset, sums, m, R, a, b,
    D: tl.constexpr, STEPS: tl.constexpr, SHARES: tl.constexpr,
    NEEDS: tl.constexpr, WEIGHT: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Sums over an anchor's valid negatives of w_ij v_j, as shares (SHARES, m, D).

    Args:
        anchors, labels, entries, entry_labels, columns, count, bound, ranked: as for
            :func:`statistics`.
        offset: (m,) what a weight is relative to, for NEEDS == "log_sum".
        sums: (SHARES, m, D).
        m, R, a, b, D, STEPS, SHARES, NEEDS: as for :func:`statistics`.
        WEIGHT: the stream's.
        BLOCK_M, BLOCK_N, BLOCK_D: of a tile.
    """
    rows = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    d = tl.program_id(2) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside_m = rows < m
    limit = tl.load(bound + rows, inside_m, 0.0)
    label = tl.load(labels + rows, inside_m, 0)
    base = tl.load(offset + rows, inside_m, 0.0)
    found = tl.load(count)
    total = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    for start in range(tl.program_id(0) * BLOCK_N, found, SHARES * BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        inside = n < found
        column = tl.load(columns + n, inside, 0)
        places = column.to(tl.int64) * D
        # Compared once for each part of the dimensions: of few columns, which stay in the cache.
        s = _compare(anchors, entries, rows, inside_m, places, inside, D,
                     BLOCK_M, BLOCK_N, BLOCK_D)  # fmt: skip
        other = tl.load(entry_labels + column, inside, 0)
        negative = (label[:, None] != other[None, :]) & inside[None, :] & inside_m[:, None]
        counts = negative & ((s <= limit[:, None]) == 0)
        if NEEDS == "ranks":
            weight = _below(ranked, rows, inside_m, s + a, R, STEPS).to(tl.float32)
            counts = negative
        elif NEEDS == "log_sum":
            weight = tl.exp(a * (s - b) - base[:, None])
        else:
            weight = WEIGHT(s, a, b)
        weight = tl.where(counts, weight, 0.0)
        e = tl.load(entries + places[:, None] + d, inside[:, None] & (d < D), 0.0)
        total = tl.dot(weight, e.to(tl.float32), total, input_precision="tf32x3")
    at = (tl.program_id(0) * m + rows)[:, None] * D + d
    tl.store(sums + at, total, inside_m[:, None] & (d < D))
