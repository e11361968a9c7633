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

    def weigh(self, s: Tensor, positive: Tensor, negative: Tensor) -> Weighting:
        """Weigh a block of similarities; see :meth:`PairLoss.weigh`."""
        m, width = len(s), int(positive.sum(1).max()) if positive.numel() else 0
        if width == 0:
            return Weighting(s.new_zeros(m), torch.zeros_like(s), s.new_zeros(m))
        # (m, P) similarities of the positives in ascending order, padded at the end by +inf,
        # and where each came from.
        masked = torch.where(positive, s, torch.inf)
        ranked, source = masked.topk(width, dim=1, largest=False, sorted=True)
        # Number of positives below S_ij + η, for negatives only.
        below = torch.searchsorted(ranked, s + self.eta).mul_(negative)
        prefix = torch.nn.functional.pad(ranked.masked_fill(ranked.isinf(), 0).cumsum(1), (1, 0))
        weights = below.to(s.dtype)
        loss = (weights * (s + self.eta) - prefix.gather(1, below)).sum(1)
        # The positive of rank r has a valid triplet with each negative whose count exceeds r.
        counts = s.new_zeros(m, width + 1).scatter_add_(1, below, torch.ones_like(s))
        above = counts.flip(1).cumsum(1).flip(1)[:, 1:]
        terms = above.sum(1)
        weights.scatter_add_(1, source, above.masked_fill(ranked.isinf(), 0))
        return Weighting(loss, weights, terms)

    def extra_repr(self) -> str:
        """Hyper-parameters for ``repr``."""
        return f"eta={self.eta}, reduction={self.reduction!r}"
