"""The sums over a memory of which most is near the anchors, tile by tile.

Before training, nearly every negative has a weight. What a loss declares in its
:class:`xbmlib.losses.stream.Stream` suffices to weigh the negatives of a tile while both its
entries and its similarities are in the cache, once the anchor's positives are known. So the memory
is read once, and nothing is kept of it.

Shapes: m anchors of D dimensions; n entries of a tile; P columns of positives, of which R are the
most that an anchor has.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xbmlib.losses.candidates import Crowd, tiles
from xbmlib.losses.inputs import References
from xbmlib.losses.stream import Statistics, Stream, Streamed, Summary

# Positives of an anchor up to which each is compared with a whole tile; a search among them is
# faster for more.
FEW_RANKS = 64
# Similarities of positives: 1 MiB of float32, and a few such in float64 are alive.
POSITIVES_LIMIT = 1 << 18


def fits(stream: Stream | None, positives: Tensor) -> bool:
    """Whether negatives can be weighed here, for anchors with such positives (m, P)."""
    if stream is None or stream.term is not None or stream.weight is not None:
        return False
    few = positives.numel() <= POSITIVES_LIMIT
    return few and (stream.needs != "ranks" or _most(positives) <= FEW_RANKS)


def compare(
    loss: Streamed, stream: Stream, crowd: Crowd, refs: References
) -> tuple[Summary, Tensor, Tensor]:
    """The loss of a crowd's anchors.

    Returns:
        The loss, with the weights of the crowd's positives in their order; (m,) the number of valid
        negatives; (m, D) the sum of w_ij v_j over them.
    """
    assert refs.memory is not None
    ranked, order = stream.rank(crowd.positives)
    negatives = _NEGATIVES[stream.needs](stream, crowd.bound, ranked, refs.memory)
    positive = torch.zeros(len(refs.labels), dtype=torch.bool, device=ranked.device)  # (M,)
    positive[crowd.positive_columns] = True
    for places, similarities in crowd.found:
        rows = positive[places].nonzero().squeeze(1)
        same_class = refs.labels[places][rows][:, None] == crowd.labels  # (rows, m)
        # Finite, so that its weight of 0 cancels it; and not above any bound.
        lowest = torch.finfo(similarities.dtype).min
        similarities[rows] = similarities[rows].masked_fill_(same_class, lowest)
        start = 0
        for tile in tiles(refs.memory, places):
            negatives.add(similarities[start : start + len(tile)], tile)
            start += len(tile)
    statistics = negatives.statistics()
    # In float64: sums over a large memory nearly cancel.
    summary = loss.summarise(ranked.double(), statistics)
    summary = summary._replace(positives=stream.unrank(summary.positives, order))
    return summary, statistics.valid, negatives.gradient(summary.offset)


class _Negatives:
    """Sums over the negatives above the bound (m,), of those whose similarity alone weighs them."""

    def __init__(self, stream: Stream, bound: Tensor, ranked: Tensor, memory: Tensor) -> None:
        self.stream = stream
        # At least what stands for no pair.
        self.bound = bound.clamp_min(torch.finfo(bound.dtype).min)
        self.grad = bound.new_zeros(len(bound), memory.shape[1])
        self.hardest = torch.full_like(bound, torch.finfo(bound.dtype).min)
        self.total, self.valid = torch.zeros(
            2, len(bound), dtype=torch.float64, device=bound.device
        )
        self.above = self.total.new_zeros(len(bound), 0)

    def add(self, s: Tensor, entries: Tensor) -> None:
        """The negatives with the entries (n, D) of a tile; their similarities s (n, m) are lost."""
        hardest = torch.maximum(self.hardest, s.amax(0))
        weights = self.weigh(s, hardest)
        self.hardest = hardest
        self.grad.addmm_(weights.T, entries.to(weights.dtype))

    def weigh(self, s: Tensor, hardest: Tensor) -> Tensor:
        """Weights (n, m), 0 at or below the bound; ``hardest`` (m,) is of all so far."""
        weights = self._above_bound(s)
        self.total += s.mul_(weights).sum(0)
        return weights

    def _above_bound(self, s: Tensor) -> Tensor:
        """1 where a negative is above the bound, else 0, (n, m)."""
        # Not "above", so that a diverged model's NaN is valid and reaches the loss. As numbers:
        # torch multiplies several times as fast as it selects by a mask.
        above = torch.le(s, self.bound, out=torch.empty_like(s)).neg_().add_(1)
        self.valid += above.sum(0)
        return above

    def statistics(self) -> Statistics:
        """What is known once all are added."""
        valid = self.valid.long()
        hardest = self.hardest.double().masked_fill(valid == 0, -torch.inf)
        # Differences of the number with more than r positives below; of none, all the others.
        below = torch.nn.functional.pad(self.above, (1, 1)).diff(dim=1).neg().clamp_min(0).long()
        return Statistics(self.total, hardest, valid, below)

    def gradient(self, offset: Tensor) -> Tensor:
        """(m, D) sum of w_ij v_j over them, given what the loss weighs them relative to."""
        return self.grad


class _LogSum(_Negatives):
    """For "log_sum": weights relative to the hardest negative so far, as it becomes known."""

    def weigh(self, s: Tensor, hardest: Tensor) -> Tensor:
        """See :meth:`_Negatives.weigh`."""
        a = self.stream.a
        smaller = (self.hardest - hardest).mul_(a).exp_()
        self.grad.mul_(smaller[:, None])
        above = self._above_bound(s)
        weights = s.sub_(hardest).mul_(a).exp_().mul_(above)
        self.total.mul_(smaller).add_(weights.sum(0))
        return weights

    def statistics(self) -> Statistics:
        """See :meth:`_Negatives.statistics`."""
        return super().statistics()._replace(total=self._hardest_exponent() + self.total.log())

    def _hardest_exponent(self) -> Tensor:
        """(m,) exponent that the weights are relative to."""
        return (self.hardest.double() - self.stream.b) * self.stream.a

    def gradient(self, offset: Tensor) -> Tensor:
        """See :meth:`_Negatives.gradient`."""
        # At most 0 where a negative is valid; elsewhere nothing bounds it, and the sum is 0.
        scale = (self._hardest_exponent() - offset).clamp_max(0).exp()
        return self.grad * scale.to(self.grad.dtype)[:, None]


class _Ranks(_Negatives):
    """For "ranks": each of an anchor's few positives is compared with a whole tile."""

    def __init__(self, stream: Stream, bound: Tensor, ranked: Tensor, memory: Tensor) -> None:
        super().__init__(stream, bound, ranked, memory)
        most = _most(ranked)
        self.ranked = ranked[:, :most].T.contiguous()  # (R, m)
        self.lowest = ranked[:, 0].nan_to_num(posinf=0.0) if most else torch.zeros_like(bound)
        # Negatives with more than r positives below.
        self.above = self.total.new_zeros(len(bound), ranked.shape[1])

    def weigh(self, s: Tensor, hardest: Tensor) -> Tensor:
        """See :meth:`_Negatives.weigh`."""
        s.add_(self.stream.a)
        weights, under = torch.full_like(s, len(self.ranked)), torch.empty_like(s)
        for rank, positive in enumerate(self.ranked):
            # As in `_above_bound`.
            weights.sub_(torch.le(s, positive, out=under))
            self.above[:, rank] += len(s) - under.sum(0)
        # From the lowest positive on, less is lost to rounding.
        self.total += s.sub_(self.lowest).mul_(weights).sum(0)
        return weights

    def statistics(self) -> Statistics:
        """See :meth:`_Negatives.statistics`."""
        if len(self.ranked):
            self.valid.copy_(self.above[:, 0])
        self.total += self.lowest * self.above.sum(1)
        return super().statistics()


_NEGATIVES = {"similarity": _Negatives, "log_sum": _LogSum, "ranks": _Ranks}


def _most(positives: Tensor) -> int:
    """R, the most positives that an anchor has."""
    return int((positives != torch.inf).sum(1).max()) if positives.numel() else 0
