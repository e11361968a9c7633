"""What a loss needs from other processes, if they hold a part of the anchors or of the entries.

A loss is written for one process, which holds every anchor and every entry. Where they are divided
over processes (:mod:`xbmlib.distributed`), each works on its own part, and the methods here are the
places where the parts meet.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Sums(NamedTuple):
    """Sums over the pairs.

    Attributes:
        grad: (n, D) sum_j ±w_ij v_j of each anchor.
        total: scalar, sum of L_i.
        terms: scalar, number of terms of the L_i.
        anchors: m, number of anchors of the total.
        negatives: (m,) valid negatives.
        positives: (m,) valid positives.
    """

    grad: Tensor
    total: Tensor
    terms: Tensor
    anchors: int
    negatives: Tensor
    positives: Tensor


class Exchange:
    """One process that holds everything: nothing is exchanged.

    Attributes:
        holds_all: whether this process holds every entry.
    """

    holds_all = True

    def total_columns(self, n: int) -> int:
        """Columns that all processes hold together, of which this one holds n."""
        return n

    def gather_columns(self, similarities: Tensor) -> tuple[Tensor, slice]:
        """Similarities (m, n) with the columns of every process, and which of them are local."""
        return similarities, slice(None)

    def reduce(self, sums: Sums) -> Sums:
        """The sums over every process; the gradient is that of this process's anchors."""
        return sums
