"""What one process knows of the pairs, and what it would have to ask others for.

A loss is written for one process, which holds every anchor and every entry. Where they are divided
over processes (:mod:`xbmlib.distributed`), each works on its part, and these are the places at
which the parts have to meet.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Sums(NamedTuple):
    """What a pass over the pairs adds up.

    Attributes:
        grad: (n, D) sum_j +-w_ij v_j of each anchor.
        total: scalar, sum of L_i.
        terms: scalar, number of its terms.
        anchors: m, how many anchors the total is of.
        negatives: (m,) valid ones.
        positives: (m,) valid ones.
    """

    grad: Tensor
    total: Tensor
    terms: Tensor
    anchors: int
    negatives: Tensor
    positives: Tensor


class Exchange:
    """One process that holds everything; others are asked for nothing.

    Attributes:
        alone: whether this process holds every entry.
    """

    alone = True

    def columns(self, n: int) -> int:
        """Columns that all processes hold together, of which this one holds n."""
        return n

    def join(self, similarities: Tensor) -> tuple[Tensor, slice]:
        """Similarities (m, n) with the columns of every process; and which of them are ours."""
        return similarities, slice(None)

    def finish(self, sums: Sums) -> Sums:
        """The sums over every process; the gradient of the anchors that this one has."""
        return sums
