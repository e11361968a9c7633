"""Contrastive loss, Section 3.1 of the paper."""

from __future__ import annotations

import torch
from torch import Tensor

from xbmlib.integers import real_number
from xbmlib.losses.pairs import PairLoss, Weighting
from xbmlib.losses.stream import Statistics, Stream, Summary


class ContrastiveLoss(PairLoss):
    """Counts only negatives that are still too similar, which a small batch soon runs out of.

    L_i = sum over positives of (1 - S_ij) + sum over negatives with S_ij > λ of S_ij, so w_ij = 1
    for each positive and for each negative above λ, else 0 (Section 3.1). The positives' constant
    1, as in the authors' code, makes the loss of a perfect positive 0. Symbols: :mod:`xbmlib`.

    Args:
        lam: λ in [-1, 1], the similarity above which a negative is valid (released code: 0.5).
        reduction, method: see :class:`PairLoss`.

    Raises:
        ValueError: λ, reduction or method out of range.

    Example:
        >>> import torch
        >>> anchors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
        >>> labels = torch.tensor([0, 0, 1])
        >>> loss = ContrastiveLoss(lam=0.7)
        >>> loss(anchors, labels)  # ((1 - 0.8) + (1 - 0.8 + 0.96) + 0.96) / 3
        tensor(0.7733)
        >>> loss.weights(anchors, labels)
        tensor([[0., 1., 0.],
                [1., 0., 1.],
                [0., 1., 0.]])
    """

    def __init__(self, lam: float = 0.5, reduction: str = "sum", *, method: str = "search") -> None:
        super().__init__(reduction, method=method)
        lam = real_number("lam", lam)
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

    def stream(self) -> Stream:
        """S_ij alone; see :meth:`PairLoss.stream`."""
        return Stream("similarity")

    def summarise(self, positives: Tensor, negatives: Statistics) -> Summary:
        """The loss from the statistics; see :meth:`PairLoss.summarise`."""
        pair = positives != torch.inf
        weights = pair.to(positives.dtype)
        loss = torch.where(pair, 1 - positives, 0).sum(1) + negatives.total
        terms = weights.sum(1) + negatives.valid
        return Summary(loss, weights, torch.zeros_like(loss), terms)

    def extra_repr(self) -> str:
        """Hyper-parameters for ``repr``."""
        return f"lam={self.lam}, reduction={self.reduction!r}"
