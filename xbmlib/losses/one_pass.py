"""One read of the memory for a loss that declares a :class:`xbmlib.losses.stream.Stream`.

Nothing here waits for the device, and every shape follows from those of the arguments, so that a
step can be captured in a CUDA graph. On a CPU the kernels run in Triton's interpreter, for tests.

Shapes: m anchors of D dimensions; M entries; P columns of positives.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from xbmlib.losses import kernels
from xbmlib.losses.candidates import BF16_ERROR
from xbmlib.losses.exchange import Sums
from xbmlib.losses.inputs import References
from xbmlib.losses.stream import Statistics, Stream, Streamed
from xbmlib.queue import Shadow

# Room for the entries of the anchors' classes: this many, or more with many anchors. With K = 4
# images of a class in a batch, it suffices for 64 of it in the memory; at D = 512 it is 2 MiB.
ROOM, ROOM_PER_ANCHOR = 1024, 16
# TF32 keeps 10 bits of each factor's fraction, and may cut off the rest: 2^-10 of each.
TF32_ERROR = 4 * 2.0**-10
# Programs that share the listed columns.
SHARES = 32
# Entries of one tile; of anchors and dimensions a tile has at most 64, and a product at least 16.
TILE_ENTRIES = 64


class Tile(NamedTuple):
    """Anchors, entries and dimensions of one tile, and the grid over the anchors."""

    m: int
    n: int
    d: int
    rows: int

    @classmethod
    def of(cls, m: int, dim: int) -> Tile:
        """No larger than the arguments need."""
        bm, bd = (min(64, max(16, 1 << (size - 1).bit_length())) for size in (m, dim))
        return cls(bm, TILE_ENTRIES, bd, -(-m // bm))

    @property
    def named(self) -> dict[str, int]:
        """As the kernels name them."""
        return {"BLOCK_M": self.m, "BLOCK_N": self.n, "BLOCK_D": self.d}


def one_pass(
    loss: Streamed, stream: Stream, anchors: Tensor, labels: Tensor, refs: References
) -> Sums:
    """The sums over the pairs with a memory that one process holds whole.

    Args:
        loss: with its bound, and its summary of the statistics.
        stream: what it declares.
        anchors: (m, D) of at most float32, m >= 1.
        labels: (m,) int64.
        refs: a memory of at most float32, M >= 1.

    Returns:
        The sums; their total and gradient are NaN if there is no room for the entries of the
        anchors' classes.

    Raises:
        ValueError: anchors or a memory in float64, or a device that Triton does not compile for.
    """
    assert refs.memory is not None
    _check(anchors, refs.memory)
    v, labels = anchors.float().contiguous(), labels.contiguous()
    entries, others = refs.memory.contiguous(), refs.labels.contiguous()
    tile = Tile.of(*v.shape)
    room = min(len(others), max(ROOM, ROOM_PER_ANCHOR * len(v)))
    columns, found = _find_positives(labels, others, room, tile)
    gathered = entries.index_select(0, columns).float()  # (P, D)
    excluded = labels[:, None] != others[columns]  # (m, P)
    excluded |= torch.arange(len(columns), device=v.device) >= found
    if refs.own is not None:
        excluded |= refs.own[:, None] == columns
    positives = (v @ gathered.T).masked_fill_(excluded, torch.inf)  # (m, P)
    bound = loss.bound(positives).contiguous()
    positives, order = stream.rank(positives)
    negatives = _Negatives(stream, tile, v, labels, entries, others, bound, positives, refs.shadow)
    statistics = negatives.statistics()
    summary = loss.summarise(positives, statistics)
    towards = stream.unrank(summary.positives, order)  # (m, P)
    grad = negatives.gradient(summary.offset).addmm_(towards, gathered, alpha=-1)
    # An error would need a wait; a loss of NaN is what no training goes on with.
    fits = torch.where(found <= len(columns), 1.0, torch.nan)
    valid_positives = (towards > 0).sum(1)
    total, terms = summary.loss.sum() * fits, summary.terms.sum()
    return Sums(grad * fits, total, terms, len(v), statistics.valid, valid_positives)


def _check(anchors: Tensor, memory: Tensor) -> None:
    """Refuse what the kernels do not take."""
    for name, value in (("anchors", anchors), ("memory", memory)):
        if value.dtype == torch.float64:
            raise ValueError(f"{name} of float64: method='one_pass' takes at most float32")
    if not anchors.is_cuda and not kernels.INTERPRETED:
        raise ValueError(
            f"anchors on {anchors.device}: method='one_pass' is for a GPU (to test it elsewhere, "
            "set TRITON_INTERPRET=1); use method='search'"
        )


def _find_positives(labels: Tensor, others: Tensor, room: int, tile: Tile) -> tuple[Tensor, Tensor]:
    """Columns (room,) of entries of the anchors' classes, 0 at the end; the number of all such."""
    flags = torch.empty(len(others), dtype=torch.int8, device=others.device)
    kernels.find_labels[(-(-len(flags) // tile.n),)](
        labels, others, flags, len(labels), len(flags), BLOCK_M=tile.m, BLOCK_N=tile.n
    )
    return _compact(flags, room, tile)


def _compact(flags: Tensor, capacity: int, tile: Tile) -> tuple[Tensor, Tensor]:
    """The first of the flagged columns, (capacity,) int32 with zeros at the end; their number."""
    ranks = flags.cumsum(0, dtype=torch.int32)
    columns = torch.zeros(capacity, dtype=torch.int32, device=flags.device)
    kernels.compact[(-(-len(flags) // tile.n),)](
        flags, ranks, columns, len(flags), capacity, BLOCK_N=tile.n
    )
    return columns, ranks[-1]


class _Negatives:
    """The negatives above the bound, listed in one read of all entries."""

    def __init__(
        self,
        stream: Stream,
        tile: Tile,
        v: Tensor,
        labels: Tensor,
        entries: Tensor,
        others: Tensor,
        bound: Tensor,
        positives: Tensor,
        shadow: Shadow | None,
    ) -> None:
        self.stream, self.tile, self.v = stream, tile, v
        searched = entries if shadow is None else shadow.entries.contiguous()
        columns, count = self._screen(searched, labels, others, bound)
        self.positives = positives.contiguous()
        self.arguments = (v, labels, entries, others, columns, count, bound, self.positives)
        # Of the largest room for this number of anchors: a kernel is compiled for each value.
        steps = max(ROOM, ROOM_PER_ANCHOR * len(v)).bit_length()
        self.named = {"D": v.shape[1], "STEPS": steps, "SHARES": SHARES, "NEEDS": stream.needs}
        self.named |= tile.named

    def _screen(
        self, entries: Tensor, labels: Tensor, others: Tensor, bound: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Columns (M,) int32, and the number of the first of them that are listed."""
        (m, dim), tile = self.v.shape, self.tile
        half = entries.dtype == torch.bfloat16
        slack = (BF16_ERROR if half else TF32_ERROR) * self.v.norm(dim=1)
        # A loss may compute its comparison in another order than its bound.
        eps = torch.finfo(torch.float32).eps
        floor = bound - 8 * eps * (1 + bound.nan_to_num(0, 0, 0).abs())
        flags = torch.empty(tile.rows, len(entries), dtype=torch.int8, device=entries.device)
        kernels.screen[(-(-len(entries) // tile.n), tile.rows)](
            self.v, labels, entries, others, floor, slack, flags, m, len(entries),
            D=dim, HALF=half, WIDEN=kernels.INTERPRETED, **tile.named,
        )  # fmt: skip
        return _compact(flags.amax(0), len(entries), tile)

    def statistics(self) -> Statistics:
        """What is known of them before they are weighed."""
        (m, ranks), stream = self.positives.shape, self.stream
        totals, hardest = self.v.new_empty(2, SHARES, m)
        valid = torch.empty(SHARES, m, dtype=torch.int32, device=self.v.device)
        below = torch.zeros(m, ranks + 1, dtype=torch.int32, device=self.v.device)
        kernels.statistics[(SHARES, self.tile.rows)](
            *self.arguments, totals, hardest, valid, below, m, ranks, stream.a, stream.b,
            TERM=stream.term or kernels.similarity, **self.named,
        )  # fmt: skip
        total = totals.logsumexp(0) if stream.needs == "log_sum" else totals.sum(0)
        return Statistics(total, hardest.amax(0), valid.sum(0), below.long())

    def gradient(self, offset: Tensor) -> Tensor:
        """(m, D) sum of w_ij v_j over them."""
        (m, dim), stream, ranks = self.v.shape, self.stream, self.positives.shape[1]
        sums = self.v.new_empty(SHARES, m, dim)
        kernels.gradient[(SHARES, self.tile.rows, -(-dim // self.tile.d))](
            *self.arguments, offset.contiguous(), sums, m, ranks, stream.a, stream.b,
            WEIGHT=stream.weight or kernels.one, **self.named,
        )  # fmt: skip
        return sums.sum(0)
