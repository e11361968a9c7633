"""A model of the cost of a step against a very large memory, in one process or many.

A step is one product of the anchors with the entries, bound by its arithmetic or, with few anchors,
by reading the entries; and the exchange between the processes. The rates are those of a machine.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from xbmlib.losses import candidates

Design = Literal["one process", "replicated", "sharded"]
BYTES = {"float32": 4, "bfloat16": 2}
# Bytes: kept similarities and embeddings are float32; a label and an id are int64 each.
SIMILARITY, NAMES = 4, 16
# How often weighing reads or writes each kept similarity, counted in the losses' `weigh`.
TOUCHED = 12
# Bytes that a GPU writes and reads per similarity of a search, by the bytes of an entry's number:
# no tile stays in its cache; a similarity of bfloat16 is written once more in float32
# (`candidates._max_over_anchors`).
SEARCHED = {4: 8, 2: 12}


class Rates(NamedTuple):
    """Rates of a machine, in SI units.

    Attributes:
        flops: operations per second of products with the entries.
        exact: operations per second of products in float32.
        bandwidth: bytes read per second.
        link: bytes per second that a process receives.
        latency: seconds per exchange.
        tile: seconds per tile in addition to its arithmetic.
        larger: size of a block as a multiple of a CPU's (``candidates.GPU_SCALE``).
    """

    flops: float
    exact: float
    bandwidth: float
    link: float
    latency: float
    tile: float = 0.0
    larger: int = 1


class Load(NamedTuple):
    """The work of a step.

    Attributes:
        design: whether each process holds all entries or a shard of them.
        ranks: R, number of processes.
        m: anchors of all ranks.
        dim: D.
        entries: M.
        entry_bytes: bytes of one number of an entry.
        matched: number of entries of the anchors' classes.
        near: number of entries with a negative above the bound of the loss.
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
    """The cost of a step.

    Attributes:
        passes: passes over the memory; several if the pairs of all anchors do not fit in one.
        product: seconds of the search, of weighing the pairs and of the gradient.
        exchange: seconds of the exchange between ranks.
        traffic: bytes sent by all ranks together.
    """

    passes: int
    product: float
    exchange: float
    traffic: float


def cost(load: Load, rates: Rates) -> Cost:
    """The cost of a step against the memory, including gathering the batch.

    Replicated: a rank compares m/R anchors with M entries; sums are exchanged. Sharded: m anchors
    with M/R entries; similarities and the gradient are exchanged.
    """
    ranks = load.ranks
    sharded = load.design == "sharded"
    anchors = load.m if sharded else load.m / ranks
    entries = load.entries / ranks if sharded else load.entries
    # A block of anchors has its share of the columns if no two anchors share a column.
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
    # Kept similarities of all passes; each rank weighs those of its anchors.
    kept = anchors * (load.matched + load.near) * each / load.m
    product += TOUCHED * SIMILARITY * kept / rates.bandwidth
    product += 2 * kept * load.dim / rates.exact / (ranks if sharded else 1)
    others = ranks - 1
    # Gathered per anchor: an embedding in float32, a label and an id.
    traffic: float = load.m * (SIMILARITY * load.dim + NAMES) * others
    exchanges = 3
    if sharded:
        # Similarities of each block; the gradient, which is reduced and so sent out and back.
        traffic += each * (load.matched + load.near) * SIMILARITY * others
        traffic += 2 * load.m * load.dim * SIMILARITY * others
        exchanges += 4 * passes + 1
    else:
        traffic += 2 * 8 * (2 + 2 * load.m) * others
        exchanges += 1
    exchange = traffic / ranks / rates.link + exchanges * rates.latency if others else 0.0
    return Cost(passes, product, exchange, traffic)
