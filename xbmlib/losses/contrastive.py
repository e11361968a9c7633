"""Contrastive loss, Section 3.1 of the paper."""

from __future__ import annotations

import torch
from torch import Tensor

from xbmlib.losses.pairs import PairLoss, Weighting


class ContrastiveLoss(PairLoss):
    """L_i = sum over positives of (1 - S_ij) + sum over negatives with S_ij > λ of S_ij.

    So w_ij = 1 for each positive and for each negative above λ, else 0 (Section 3.1). The
    positives' constant 1, as in the authors' code, makes a perfect positive cost nothing.

    Args:
        lam: λ in [-1, 1], the similarity above which a negative is valid (released code: 0.5).
        reduction: see :class:`PairLoss`.

    Raises:
        ValueError: λ out of range.
    """

    def __init__(self, lam: float = 0.5, reduction: str = "sum") -> None:
        super().__init__(reduction)
        if not -1 <= lam <= 1:
            raise ValueError(f"lam={lam}: λ is a cosine similarity, give -1 to 1")
        self.lam = lam

    def weigh(self, positives: Tensor, negatives: Tensor) -> Weighting:
        """Weigh the pairs; see :meth:`PairLoss.weigh`."""
        # Not "above", so that a diverged model's NaN is valid and reaches the loss.
        pair, valid = positives != torch.inf, ~(negatives <= self.lam)
        loss = torch.where(pair, 1 - positives, 0).sum(1) + torch.where(valid, negatives, 0).sum(1)
        weights = pair.to(loss.dtype), valid.to(loss.dtype)
        return Weighting(loss, *weights, terms=weights[0].sum(1) + weights[1].sum(1))

    def bound(self, positives: Tensor) -> Tensor:
        """λ; see :meth:`PairLoss.bound`."""
        return positives.new_full((len(positives),), self.lam)

    def extra_repr(self) -> str:
        """Hyper-parameters for ``repr``."""
        return f"lam={self.lam}, reduction={self.reduction!r}"
