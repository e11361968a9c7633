"""Pair-based losses of pytorch-metric-learning in the place of ours.

That package is not imported here: the losses are called as its version 2 documents them,
``loss(embeddings, labels, indices_tuple, ref_emb, ref_labels)``.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from xbmlib.losses.inputs import references
from xbmlib.losses.pairs import ValidPairs
from xbmlib.queue import CrossBatchMemory


class MetricLearningLoss(nn.Module):
    """Calls a loss of pytorch-metric-learning as :class:`xbmlib.losses.PairLoss` is called.

    Against a memory it is given every pair of an anchor and an entry but the anchor's own, about
    32 bytes a pair in all; a triplet loss joins them to triplets by itself, which only a small
    memory bears. Its reduction, distance and normalisation are its own.

    Args:
        loss: of pairs or triplets, such as its ContrastiveLoss, MultiSimilarityLoss,
            TripletMarginLoss or CircleLoss.

    Attributes:
        valid: None: which pairs have a gradient, these losses do not tell.

    Raises:
        ValueError: a loss that takes no references or no pairs, or that looks at others than it
            is given (NCALoss): an anchor would then be compared with itself.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        _check(loss)
        self.loss = loss
        self.valid: ValidPairs | None = None

    def forward(
        self,
        anchors: Tensor,
        labels: Tensor,
        memory: Tensor | CrossBatchMemory | None = None,
        memory_labels: Tensor | None = None,
        *,
        own: Tensor | None = None,
        shadow: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Loss of a batch of anchors; in float32 at least, and without gradient to the memory.

        Args:
            anchors, labels, memory, memory_labels, own: as :meth:`PairLoss.forward`.
            shadow: checked, then ignored.

        Returns:
            Scalar.

        Raises:
            ValueError: as :meth:`PairLoss.forward`.
        """
        refs = references(anchors, labels, memory, memory_labels, own, shadow)
        v = anchors.to(torch.promote_types(anchors.dtype, torch.float32))
        with torch.autocast(anchors.device.type, enabled=False):
            if refs.memory is None:
                return self.loss(v, labels)
            pairs = _pairs(labels, refs.labels, refs.own)
            return self.loss(v, labels, pairs, refs.memory.to(v.dtype), refs.labels)


def _pairs(labels: Tensor, others: Tensor, own: Tensor | None) -> tuple[Tensor, ...]:
    """Anchors and entries of the positive pairs, then those of the negative, self-pairs left out.

    Args:
        labels: (m,) of the anchors.
        others: (M,) of the entries.
        own: (m,) entry of each anchor itself, -1 for none.
    """
    positive = labels[:, None] == others
    negative = ~positive
    if own is not None:
        rows = (own >= 0).nonzero().squeeze(1)
        positive[rows, own[rows]] = False
    return *positive.nonzero(as_tuple=True), *negative.nonzero(as_tuple=True)


@torch.no_grad()
def _check(loss: nn.Module) -> None:
    """Compare two anchors with entries of which the first is in no pair, and may not count.

    Two, since some losses pass over a batch of one.
    """
    # A copy: some losses keep statistics of what they are called with.
    trial = copy.deepcopy(loss).cpu()
    draw = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    anchors, entries, moved = draw[:2], draw[2:], draw[2:].clone()
    moved[0] = -draw[2]
    labels, others = torch.tensor([0, 0]), torch.tensor([0, 0, 0, 1, 1, 1])
    pairs = _pairs(labels, others, own=torch.tensor([0, 0]))
    remedy = "give a loss of pairs or triplets, say its ContrastiveLoss or MultiSimilarityLoss"
    try:
        values = [trial(anchors, labels, pairs, e, others) for e in (entries, moved)]
        ignored = torch.equal(*values)
    except Exception as error:
        raise ValueError(
            f"{type(loss).__name__} cannot be called with pairs of anchors and references "
            f"({error}): {remedy}"
        ) from error
    if not ignored:
        raise ValueError(
            f"{type(loss).__name__} looks at pairs that it is not given, so that an anchor would "
            f"be compared with itself in the memory: {remedy}"
        )
