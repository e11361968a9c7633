"""What a loss declares so that a GPU reads the memory once for it, in bounded space.

The search of :mod:`xbmlib.losses.candidates` waits for what it finds. Here everything stays on the
device: entries of the anchors' classes are gathered first, so that the bound is known; all entries
stream once past it; those few that may be a valid negative are listed, compared in whole float32,
and weighed as the loss has declared. :mod:`xbmlib.losses.one_pass` does so.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor


class Stream(NamedTuple):
    """What the weight of a valid negative depends on, besides the anchor's bound.

    Attributes:
        needs: "similarity": on S_ij alone. "log_sum": on log Σ exp(a (S_ij - b)) over the anchor's
            valid negatives, with a > 0; the weight is exp(a (S_ij - b) - offset). "ranks": on the
            anchor's positives in order; the weight is the number of those below S_ij + a, and a
            negative is valid with at least one.
        a, b: numbers, as ``needs`` says; for "similarity" passed on.
        term, weight: for "similarity", functions of (S, a, b) made by ``triton.jit``: what a
            negative adds to the loss, and w_ij >= 0.
    """

    needs: Literal["similarity", "log_sum", "ranks"]
    a: float = 0.0
    b: float = 0.0
    term: Any = None
    weight: Any = None

    def rank(self, positives: Tensor) -> tuple[Tensor, Tensor | None]:
        """Positives (m, P) as :meth:`Streamed.summarise` takes them, and their places before."""
        if self.needs != "ranks":
            return positives, None
        ranked, order = positives.sort(1)
        return ranked, order

    def unrank(self, weights: Tensor, order: Tensor | None) -> Tensor:
        """Weights (m, P) of ranked positives in the order that these had before."""
        return weights if order is None else torch.empty_like(weights).scatter_(1, order, weights)


class Statistics(NamedTuple):
    """What is known of each anchor's valid negatives once they are compared.

    Attributes:
        total: (m,) sum of their terms; for "log_sum" log Σ exp(a (S_ij - b)), -inf without one;
            for "ranks" the sum over them of r (S_ij + a), with r positives below S_ij + a.
        hardest: (m,) highest S_ij, -inf without one.
        valid: (m,) int64 number of them.
        below: (m, P + 1) int64 number of negatives with r positives below, for "ranks".
    """

    total: Tensor
    hardest: Tensor
    valid: Tensor
    below: Tensor


class Summary(NamedTuple):
    """What a loss makes of the statistics: :meth:`xbmlib.losses.PairLoss.summarise`.

    Attributes:
        loss: (m,) L_i.
        positives: (m, P) w_ij >= 0 of the positive pairs.
        offset: (m,) what the weights of negatives are relative to, for "log_sum".
        terms: (m,) number of terms that L_i sums.
    """

    loss: Tensor
    positives: Tensor
    offset: Tensor
    terms: Tensor


class Streamed(Protocol):
    """The part of a :class:`xbmlib.losses.PairLoss` that one pass calls."""

    def bound(self, positives: Tensor) -> Tensor:
        """(m,) similarity at or below which a negative has no weight."""

    def summarise(self, positives: Tensor, negatives: Statistics) -> Summary:
        """The loss, and the weights of its positives."""
