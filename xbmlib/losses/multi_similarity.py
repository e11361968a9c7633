"""Multi-similarity loss with its pair mining: Section 3.1, and reference [37] of the paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from xbmlib.integers import real_number
from xbmlib.losses.pairs import PairLoss, Weighting
from xbmlib.losses.stream import Statistics, Stream, Summary


class MultiSimilarityLoss(PairLoss):
    """Weighs the hardest pairs most, each relative to the other pairs of its anchor.

    L_i = log(1 + Σ_P exp(-α(S_ik - λ)))/α + log(1 + Σ_N exp(β(S_ij - λ)))/β.

    N_i are the negatives with S_ij > min over positives - ε, P_i the positives with
    S_ik < max over negatives + ε (the mining of [37]); an anchor that lacks positives or
    negatives has no valid pair. The weight of a negative is the paper's
    exp(β(S_ij - λ)) / (1 + Σ_N exp(β(S_ik - λ))), that of a positive the same with -α. Symbols:
    :mod:`xbmlib`.

    Args:
        alpha: α > 0, weight of positives (released code: 2).
        beta: β > 0, weight of negatives (released code: 40).
        lam: λ in [-1, 1] (released code: 0.5).
        epsilon: ε >= 0, the mining margin (released code: 0.1).
        reduction, method: see :class:`PairLoss`.

    Raises:
        ValueError: a hyper-parameter out of range.

    Example:
        >>> import torch
        >>> anchors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
        >>> loss = MultiSimilarityLoss()
        >>> loss(anchors, torch.tensor([0, 0, 1]))  # (0.46 + log(1 + e^-0.6) / 2) / 3
        tensor(0.2262)
        >>> loss.weights(anchors, torch.tensor([0, 0, 1]))[1]
        tensor([0.3543, 0.0000, 1.0000])
    """

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 40.0,
        lam: float = 0.5,
        epsilon: float = 0.1,
        reduction: str = "sum",
        *,
        method: str = "search",
    ) -> None:
        super().__init__(reduction, method=method)
        alpha, beta = real_number("alpha", alpha), real_number("beta", beta)
        lam, epsilon = real_number("lam", lam), real_number("epsilon", epsilon)
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name}={value}: give more than 0, and a finite number")
        if not -1 <= lam <= 1:
            raise ValueError(f"lam={lam}: λ is a cosine similarity, give -1 to 1")
        if not 0 <= epsilon < math.inf:
            raise ValueError(f"epsilon={epsilon}: the mining margin ε is at least 0 and finite")
        self.alpha, self.beta, self.lam, self.epsilon = alpha, beta, lam, epsilon

    def weigh(self, positives: Tensor, negatives: Tensor) -> Weighting:
        """Weigh the pairs; see :meth:`PairLoss.weigh`."""
        if not positives.shape[1] or not negatives.shape[1]:
            none = positives.new_zeros(len(positives))
            return Weighting(none, torch.zeros_like(positives), torch.zeros_like(negatives), none)
        # Not "above", so that a diverged model's NaN is mined and reaches the loss.
        mined_negatives = ~(negatives <= self.bound(positives)[:, None])
        hardest = negatives.amax(1, keepdim=True)
        mined_positives = ~(positives >= hardest + self.epsilon)
        negative_loss, negative_weights = self._log_sum(negatives, mined_negatives, self.beta)
        positive_loss, positive_weights = self._log_sum(positives, mined_positives, -self.alpha)
        return Weighting(
            negative_loss + positive_loss,
            positive_weights,
            negative_weights,
            terms=mined_negatives.any(1).to(positives.dtype),
        )

    def bound(self, positives: Tensor) -> Tensor:
        """min over positives - ε; see :meth:`PairLoss.bound`."""
        if not positives.shape[1]:
            return positives.new_full((len(positives),), torch.inf)
        return positives.amin(1) - self.epsilon

    def stream(self) -> Stream:
        """The log-sum-exp of β(S_ij - λ); see :meth:`PairLoss.stream`."""
        return Stream("log_sum", self.beta, self.lam)

    def summarise(self, positives: Tensor, negatives: Statistics) -> Summary:
        """The loss from the statistics; see :meth:`PairLoss.summarise`."""
        mined = ~(positives >= negatives.hardest[:, None] + self.epsilon)
        positive_loss, weights = self._log_sum(positives, mined, -self.alpha)
        # The 1 in the logarithm is one more term, of exponent 0.
        offset = torch.logaddexp(negatives.total, torch.zeros_like(negatives.total))
        loss = offset / self.beta + positive_loss
        return Summary(loss, weights, offset, (negatives.valid > 0).to(loss.dtype))

    def _log_sum(self, s: Tensor, mined: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """log(1 + Σ exp(scale(S - λ)))/|scale| and its weights, safe for any scale."""
        exponent = (s - self.lam).mul_(scale).masked_fill_(mined.logical_not(), -torch.inf)
        # The 1 in the logarithm is one more term, of exponent 0.
        total = torch.logaddexp(exponent.logsumexp(1), s.new_zeros(len(s)))
        return total / abs(scale), exponent.sub_(total[:, None]).exp_()

    def extra_repr(self) -> str:
        """Hyper-parameters for ``repr``."""
        return (
            f"alpha={self.alpha}, beta={self.beta}, lam={self.lam}, epsilon={self.epsilon}, "
            f"reduction={self.reduction!r}"
        )
