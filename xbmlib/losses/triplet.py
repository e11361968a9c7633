"""Triplet loss, Section 3.1 of the paper."""

from __future__ import annotations

import torch
from torch import Tensor

from xbmlib.losses.pairs import PairLoss, Weighting


class TripletLoss(PairLoss):
    """L_i = sum over positives k and negatives j of max(0, S_ij - S_ik + η).

    So w_ij of a negative counts the positives with S_ik < S_ij + η, and w_ik of a positive the
    negatives with S_ij > S_ik - η (Section 3.1). All triplets of an anchor are summed exactly
    without listing them: its positives are sorted, and each similarity is placed among them.

    Args:
        eta: η >= 0, the margin (released code: 0.1).
        reduction: see :class:`PairLoss`.

    Raises:
        ValueError: η negative.
    """

    def __init__(self, eta: float = 0.1, reduction: str = "sum") -> None:
        super().__init__(reduction)
        if not eta >= 0:
            raise ValueError(f"eta={eta}: the margin η is at least 0")
        self.eta = eta

    def weigh(self, positives: Tensor, negatives: Tensor) -> Weighting:
        """Weigh the pairs; see :meth:`PairLoss.weigh`."""
        m = len(positives)
        width = int((positives != torch.inf).sum(1).max()) if positives.numel() else 0
        if width == 0:
            none = positives.new_zeros(m)
            return Weighting(none, torch.zeros_like(positives), torch.zeros_like(negatives), none)
        # (m, P) similarities of the positives in ascending order, padded at the end by +inf,
        # and where each came from.
        ranked, source = positives.topk(width, dim=1, largest=False, sorted=True)
        # Number of positives below S_ij + η.
        raised = negatives + self.eta
        below = torch.searchsorted(ranked, raised)
        prefix = torch.nn.functional.pad(ranked.masked_fill(ranked.isinf(), 0).cumsum(1), (1, 0))
        weights = below.to(positives.dtype)
        loss = (weights * raised.clamp_min_(-1e4) - prefix.gather(1, below)).sum(1)
        # The positive of rank r has a valid triplet with each negative whose count exceeds r.
        counts = positives.new_zeros(m, width + 1)
        counts.scatter_add_(1, below, torch.ones_like(weights))
        above = counts.flip(1).cumsum(1).flip(1)[:, 1:].masked_fill(ranked.isinf(), 0)
        pulled = torch.zeros_like(positives).scatter_add_(1, source, above)
        return Weighting(loss, pulled, weights, terms=above.sum(1))

    def bound(self, positives: Tensor) -> Tensor:
        """min over positives - η; see :meth:`PairLoss.bound`."""
        if not positives.shape[1]:
            return positives.new_full((len(positives),), torch.inf)
        return positives.amin(1) - self.eta

    def extra_repr(self) -> str:
        """Hyper-parameters for ``repr``."""
        return f"eta={self.eta}, reduction={self.reduction!r}"
