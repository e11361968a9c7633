"""Losses of pytorch-metric-learning, called as ours are.

That package is not imported here: the losses are called as its version 2 documents them,
``loss(embeddings, labels, indices_tuple, ref_emb, ref_labels)``.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from xbmlib.integers import as_labels
from xbmlib.losses.inputs import references
from xbmlib.losses.pairs import ValidPairs
from xbmlib.queue import CrossBatchMemory


class MetricLearningLoss(nn.Module):
    """Gives the memory to a loss of pytorch-metric-learning; called as a :class:`PairLoss` is.

    Against a memory the loss gets every pair of an anchor and an entry except the anchor's own,
    about 32 bytes per pair; a triplet loss forms triplets of them, for which only a small memory
    leaves room. Reduction, distance and normalisation are the loss's.

    Args:
        loss: of pairs or triplets, such as pytorch-metric-learning's ContrastiveLoss,
            MultiSimilarityLoss, TripletMarginLoss or CircleLoss.

    Attributes:
        valid: always None: these losses do not report which pairs have a gradient.

    Raises:
        ValueError: a loss that takes no references or no pairs, or that uses pairs it was not
            given (NCALoss): an anchor would then be compared with itself.

    Example:
        >>> import torch
        >>> from pytorch_metric_learning.losses import CircleLoss
        >>> from xbmlib import CrossBatchMemory
        >>> loss, memory = MetricLearningLoss(CircleLoss()), CrossBatchMemory(size=4, dim=2)
        >>> anchors, labels = torch.eye(2).requires_grad_(), torch.tensor([0, 1])
        >>> slots = [memory.enqueue(anchors, labels) for _ in range(2)]
        >>> loss(anchors, labels, memory, own=slots[-1]).isfinite()
        tensor(True)
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        with torch.device("cpu"):  # what the loss makes of its own in these calls too
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
        labels = as_labels("labels", labels)
        v = anchors.to(torch.promote_types(anchors.dtype, torch.float32))
        with torch.autocast(anchors.device.type, enabled=False):
            if refs.memory is None:
                return self.loss(v, labels)
            pairs = _pairs(labels, refs.labels, refs.own)
            # Copies: the next batch overwrites entries that the loss may need in its backward pass.
            entries = refs.memory.to(v.dtype, copy=True)
            return self.loss(v, labels, pairs, entries, refs.labels.clone())


def _pairs(labels: Tensor, others: Tensor, own: Tensor | None) -> tuple[Tensor, ...]:
    """Anchors and entries of the positive pairs, then of the negative, without self-pairs.

    Args:
        labels: (m,) of the anchors.
        others: (M,) of the entries.
        own: (m,) slot of each anchor's own entry, -1 for none.

    Returns:
        Four (n,) tensors of indices, as pytorch-metric-learning's ``indices_tuple``.
    """
    positive = labels[:, None] == others
    negative = ~positive
    if own is not None:
        rows = (own >= 0).nonzero().squeeze(1)
        positive[rows, own[rows]] = False
    return *positive.nonzero(as_tuple=True), *negative.nonzero(as_tuple=True)


@torch.no_grad()
def _check(loss: nn.Module) -> None:
    """Refuse a loss whose value changes with an entry that is in none of its pairs, or with slots.

    Two anchors, because some losses skip a batch of one.
    """
    rows = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    anchors, entries, moved = rows[:2], rows[2:], rows[2:].clone()
    moved[0] = -rows[2]
    labels, others = torch.tensor([0, 0]), torch.tensor([0, 0, 0, 1, 1, 1])
    remedy = "give a pair or triplet loss, say its ContrastiveLoss or MultiSimilarityLoss"

    def value(entries: Tensor, others: Tensor, own: int) -> Tensor:
        # A copy: some losses keep statistics of what they are called with.
        trial = copy.deepcopy(loss).cpu()
        pairs = _pairs(labels, others, own=torch.tensor([own, own]))
        return torch.as_tensor(trial(anchors, labels, pairs, entries, others))

    last = len(others) - 1
    try:
        values = [value(entries, others, 0), value(moved, others, 0),
                  value(entries.flip(0), others.flip(0), last)]  # fmt: skip
        ignored = torch.equal(*values[:2])
        anywhere = torch.allclose(values[0], values[2])
    except Exception as error:
        raise ValueError(
            f"{type(loss).__name__} cannot be called with pairs of anchors and references "
            f"({error}): {remedy}"
        ) from error
    if not anywhere:
        raise ValueError(
            f"{type(loss).__name__} changes with the order of the memory's entries, so that it "
            f"takes some of them for anchors: {remedy}"
        )
    if not ignored:
        raise ValueError(
            f"{type(loss).__name__} uses pairs that it was not given, so that an anchor would be "
            f"compared with itself in the memory: {remedy}"
        )
