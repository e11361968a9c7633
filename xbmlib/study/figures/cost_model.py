"""A model of what a step against a very large memory costs, on one machine or many.

A step is one product of the anchors with the entries, which is bound by the arithmetic or, with few
anchors, by reading the entries; and what the processes exchange. The model takes the rates of a
machine.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from xbmlib.losses import candidates

Design = Literal["one process", "replicated", "sharded"]
BYTES = {"float32": 4, "bfloat16": 2}
# Similarities that are kept, and embeddings, are float32; a label and an id are int64 each.
SIMILARITY, NAMES = 4, 16
# Times that weighing reads or writes each similarity that is kept, counted in the losses' `weigh`.
TOUCHED = 12
# Bytes that a GPU writes and reads of each similarity of a search, in whose cache no tile stays:
# once, and of bfloat16 once more in float32 (`candidates._max_over_anchors`).
SEARCHED = {4: 8, 2: 12}


class Rates(NamedTuple):
    """Of a machine, in SI units.

    Attributes:
        flops: of products with the entries, a second.
        exact: of products in float32.
        bandwidth: bytes read a second.
        link: bytes that a process receives a second.
        latency: seconds of an exchange.
        tile: seconds of a tile beside its arithmetic.
        larger: how many times as much as a CPU it takes at once (``candidates.GPU_SCALE``).
    """

    flops: float
    exact: float
    bandwidth: float
    link: float
    latency: float
    tile: float = 0.0
    larger: int = 1


class Load(NamedTuple):
    """A step.

    Attributes:
        design: who holds what.
        ranks: R.
        m: anchors of all ranks.
        dim: D.
        entries: M.
        entry_bytes: of one number of an entry.
        matched: entries of the anchors' classes.
        near: entries with a negative above the loss's bound.
    """

    design: Design
    ranks: int
    m: int
    dim: int
    entries: int
    entry_bytes: int
    matched: float
    near: float


class Cost(NamedTuple):
    """Of one step.

    Attributes:
        passes: over the memory; more than one where the pairs of all anchors are too many at once.
        product: seconds of the search, of weighing what it finds and of the gradient.
        exchange: seconds.
        traffic: bytes that all ranks together send.
    """

    passes: int
    product: float
    exchange: float
    traffic: float


def cost(load: Load, rates: Rates) -> Cost:
    """What a step against the memory costs, the gathering of the batch included.

    Replicated, a rank compares m/R anchors with M entries and sums are exchanged; sharded, m
    anchors with M/R entries, and similarities and the gradient are exchanged.
    """
    ranks = load.ranks
    sharded = load.design == "sharded"
    anchors = load.m if sharded else load.m / ranks
    entries = load.entries / ranks if sharded else load.entries
    # A block of anchors has its share of the columns, if no two anchors have one in common.
    pairs = anchors * max(load.matched, load.near) * anchors / load.m
    passes = 1
    while passes < anchors and pairs / passes**2 > rates.larger * candidates.BLOCK_LIMIT:
        passes *= 2
    each = anchors / passes
    arithmetic = 2 * each * load.dim * entries / rates.flops
    reading = entries * load.dim * load.entry_bytes / rates.bandwidth
    if rates.larger > 1:
        arithmetic += SEARCHED[load.entry_bytes] * each * entries / rates.bandwidth
    pairs = candidates.TILE_SIMILARITIES if rates.larger == 1 else candidates.DENSE_LIMIT["cuda"]
    tile = max(candidates.TILE_ENTRIES, pairs / each)
    product = passes * (max(arithmetic, reading) + entries / tile * rates.tile)
    # Similarities that are kept, in all passes; every rank weighs those of its anchors.
    kept = anchors * (load.matched + load.near) * each / load.m
    product += TOUCHED * SIMILARITY * kept / rates.bandwidth
    product += 2 * kept * load.dim / rates.exact / (ranks if sharded else 1)
    others = ranks - 1
    # Gathered: embeddings in float32, a label and an id.
    traffic: float = load.m * (SIMILARITY * load.dim + NAMES) * others
    exchanges = 3
    if sharded:
        # Similarities of every block, and the gradient, which is summed: sent out and back.
        traffic += each * (load.matched + load.near) * SIMILARITY * others
        traffic += 2 * load.m * load.dim * SIMILARITY * others
        exchanges += 4 * passes + 1
    else:
        traffic += 2 * 8 * (2 + 2 * load.m) * others
        exchanges += 1
    exchange = traffic / ranks / rates.link + exchanges * rates.latency if others else 0.0
    return Cost(passes, product, exchange, traffic)
