"""Triplet loss, Section 3.1 of the paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from xbmlib.integers import real_number
from xbmlib.losses.pairs import PairLoss, Weighting
from xbmlib.losses.stream import Statistics, Stream, Summary


class TripletLoss(PairLoss):
    """Requires each positive to be more similar than each negative by a margin.

    L_i = sum over positives k and negatives j of max(0, S_ij - S_ik + η). So w_ij of a negative
    counts the positives with S_ik < S_ij + η, and w_ik of a positive the negatives with
    S_ij > S_ik - η (Section 3.1). All triplets of an anchor are summed exactly without listing
    them: its positives are sorted, and each negative is placed among them. Symbols:
    :mod:`xbmlib`.

    Args:
        eta: η >= 0 and finite, the margin (released code: 0.1).
        reduction, method: see :class:`PairLoss`.

    Raises:
        ValueError: η negative or not finite, or another reduction or method.

    Example:
        >>> import torch
        >>> anchors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
        >>> loss = TripletLoss(eta=0.1)
        >>> loss(anchors, torch.tensor([0, 0, 1]))  # anchor 1: 0.96 - 0.8 + 0.1, of 3 anchors
        tensor(0.0867)
        >>> loss.valid.negatives.tolist()
        [0, 1, 0]
    """

    def __init__(self, eta: float = 0.1, reduction: str = "sum", *, method: str = "search") -> None:
        super().__init__(reduction, method=method)
        eta = real_number("eta", eta)
        if not 0 <= eta < math.inf:
            raise ValueError(f"eta={eta}: the margin η is at least 0 and finite")
        self.eta = eta

    def weigh(self, positives: Tensor, negatives: Tensor) -> Weighting:
        """Weigh the pairs; see :meth:`PairLoss.weigh`."""
        m = len(positives)
        # R, the most positives that an anchor has.
        most = int((positives != torch.inf).sum(1).max()) if positives.numel() else 0
        if most == 0:
            none = positives.new_zeros(m)
            return Weighting(none, torch.zeros_like(positives), torch.zeros_like(negatives), none)
        # (m, R) positives in ascending order, padded at the end by +inf, and their columns.
        ranked, columns = positives.topk(most, dim=1, largest=False, sorted=True)
        shifted = negatives + self.eta  # (m, C)
        # (m, C) number of positives below S_ij + η: with each, the negative has a valid triplet.
        below = torch.searchsorted(ranked, shifted)
        finite = ranked.masked_fill(ranked.isinf(), 0)
        sums = torch.nn.functional.pad(finite.cumsum(1), (1, 0))  # (m, R + 1) of the r lowest
        weights = below.to(positives.dtype)
        # Where there is no pair: finite, so that its weight of 0 cancels it.
        shifted.clamp_min_(torch.finfo(shifted.dtype).min)
        loss = (weights * shifted - sums.gather(1, below)).sum(1)
        # (m, R + 1) number of negatives with r positives below them; the positive of rank r has a
        # valid triplet with each negative that has more than r.
        counts = positives.new_zeros(m, most + 1)
        counts.scatter_add_(1, below, torch.ones_like(weights))
        above = counts.flip(1).cumsum(1).flip(1)[:, 1:].masked_fill(ranked.isinf(), 0)  # (m, R)
        positive_weights = torch.zeros_like(positives).scatter_add_(1, columns, above)
        return Weighting(loss, positive_weights, weights, terms=above.sum(1))

    def bound(self, positives: Tensor) -> Tensor:
        """min over positives - η; see :meth:`PairLoss.bound`."""
        if not positives.shape[1]:
            return positives.new_full((len(positives),), torch.inf)
        return positives.amin(1) - self.eta

    def stream(self) -> Stream:
        """The positives in order, and η; see :meth:`PairLoss.stream`."""
        return Stream("ranks", self.eta)

    def summarise(self, positives: Tensor, negatives: Statistics) -> Summary:
        """The loss from the statistics; see :meth:`PairLoss.summarise`."""
        none = positives.isinf()  # (m, P)
        # As in `weigh`: the positive of rank r has a valid triplet with each negative that has
        # more than r positives below it.
        counts = negatives.below.to(positives.dtype)
        above = counts.flip(1).cumsum(1).flip(1)[:, 1:].masked_fill(none, 0)
        loss = negatives.total - (above * positives.masked_fill(none, 0)).sum(1)
        return Summary(loss, above, torch.zeros_like(loss), above.sum(1))

    def extra_repr(self) -> str:
        """Hyper-parameters for ``repr``."""
        return f"eta={self.eta}, reduction={self.reduction!r}"
