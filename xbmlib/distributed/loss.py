"""The loss against a memory, its work divided over the ranks."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from xbmlib.distributed.batch import GlobalBatch
from xbmlib.distributed.group import Group, all_gather_ints, all_gather_rows, rank_and_size
from xbmlib.distributed.memory import ShardedMemory
from xbmlib.losses.exchange import Exchange, Sums
from xbmlib.losses.inputs import own_slots, references
from xbmlib.losses.pairs import PairLoss
from xbmlib.queue import CrossBatchMemory


def memory_loss(
    loss: PairLoss,
    batch: GlobalBatch,
    memory: ShardedMemory | CrossBatchMemory,
    own: Tensor,
    group: Group = None,
) -> Tensor:
    """The loss of the global batch against a memory; every rank calls it and gets the same value.

    How the work is divided depends on the memory:

    - ``CrossBatchMemory``, of which every rank holds all M entries: by anchors. Each rank compares
      its own anchors with all entries. They exchange sums, O(m) numbers.
    - :class:`ShardedMemory`, of which every rank holds about M/R entries: by entries. Each rank
      compares all anchors with its own entries. They exchange the similarities of the positives
      (which the loss's ``bound`` needs), those of the negatives above the bound, and the gradient,
      m × D. Nothing grows with M if the loss has a ``bound``; without one every negative is sent.

    Value, ``loss.valid`` and gradient are those of one process, for every :class:`PairLoss`.

    Args:
        loss: any pair-based loss, with the same settings on all ranks.
        batch: from :func:`xbmlib.distributed.gather`.
        memory: all ranks have enqueued the same global batches.
        own: (m,) slot of each anchor's own entry, as ``memory.enqueue`` returned them.
        group: of the processes; a sharded memory uses its own.

    Returns:
        Scalar, over the global batch; its gradient reaches this rank's own rows.

    Raises:
        ValueError: as :meth:`PairLoss.forward`.
    """
    exchange: Exchange
    # On all ranks alike, before any of them waits for another.
    own = own_slots(own, len(batch.labels), len(memory))
    if isinstance(memory, ShardedMemory):
        at, held, own = slice(None), memory.shard, memory.local(own)
        exchange = ByEntries(memory.group)
    else:
        at, held, own = batch.share, memory, own[batch.share]
        exchange = ByAnchors(at, len(batch.labels), group)
    anchors, labels = batch.embeddings[at], batch.labels[at]
    refs = references(anchors, labels, held, own=own)
    return loss.compare(anchors, labels, refs._replace(exchange=exchange))


class ByAnchors(Exchange):
    """Every rank has all entries and some of the anchors.

    Args:
        at: this rank's rows of the global batch.
        m: rows of the global batch.
        group: of the processes.
    """

    def __init__(self, at: slice, m: int, group: Group) -> None:
        self.at, self.m, self.group = at, m, group

    def reduce(self, sums: Sums) -> Sums:
        """Loss, terms and counts of all anchors, in one exchange; the gradient of this rank's."""
        total, terms = sums.total, sums.terms
        # float64 holds all of them exactly.
        packed = total.new_zeros(2 + 2 * self.m, dtype=torch.float64)
        packed[0], packed[1] = total, terms
        negatives, positives = packed[2:].view(2, -1)
        negatives[self.at], positives[self.at] = sums.negatives.double(), sums.positives.double()
        dist.all_reduce(packed, group=self.group)
        return Sums(
            sums.grad,
            packed[0].to(total.dtype),
            packed[1].to(terms.dtype),
            self.m,
            negatives.long(),
            positives.long(),
        )


class ByEntries(Exchange):
    """Every rank has all anchors and some of the entries; all weigh the same pairs.

    Args:
        group: of the processes.
    """

    holds_all = False

    def __init__(self, group: Group) -> None:
        self.group = group
        self.rank, _ = rank_and_size(group)
        self.counts: list[int] = []

    def total_columns(self, n: int) -> int:
        """See :meth:`Exchange.total_columns`; :meth:`gather_columns` follows it."""
        self.counts = [count for (count,) in all_gather_ints([n], self.group)]
        return sum(self.counts)

    def gather_columns(self, similarities: Tensor) -> tuple[Tensor, slice]:
        """See :meth:`Exchange.gather_columns`: the columns of the ranks in their order."""
        first = sum(self.counts[: self.rank])
        joined = all_gather_rows(similarities.T, self.counts, self.group)
        return joined.T.contiguous(), slice(first, first + self.counts[self.rank])

    def reduce(self, sums: Sums) -> Sums:
        """The gradient is a sum over the entries; every rank has the rest already."""
        grad = sums.grad
        dist.all_reduce(grad, group=self.group)
        return sums._replace(grad=grad)
