"""General pair weighting (Eq. 1, 4, 5): what every pair-based loss here shares.

A loss states only how it weighs the similarities of an anchor (:meth:`PairLoss.weigh`), and below
which similarity a negative has no weight (:meth:`PairLoss.bound`). This module finds the pairs
(:mod:`xbmlib.losses.candidates`), leaves out self-pairs, and turns the weights into the loss and
its gradient in closed form, dL/dv_i = sum_j +-w_ij v_j (Eq. 5), a block of anchors at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from xbmlib.losses.candidates import TILE, Block, blocks
from xbmlib.losses.exchange import Sums
from xbmlib.losses.inputs import References, references
from xbmlib.queue import CrossBatchMemory


class Weighting(NamedTuple):
    """What a loss makes of the pairs of m anchors.

    Attributes:
        loss: (m,) L_i, the loss of each anchor.
        positives: (m, P) w_ij >= 0, |dL_i/dS_ij|; zero at pairs that are not valid.
        negatives: (m, n) likewise.
        terms: (m,) number of terms that L_i sums: pairs, triplets, or 1 for a log-sum.
    """

    loss: Tensor
    positives: Tensor
    negatives: Tensor
    terms: Tensor


class ValidPairs(NamedTuple):
    """Pairs with a gradient (Section 3.3, "Hard Mining Ability"), counted for each anchor.

    Attributes:
        negatives: (m,) int64.
        positives: (m,) int64.
    """

    negatives: Tensor
    positives: Tensor


class PairLoss(nn.Module):
    """Base of the pair-based losses: ``loss(anchors, labels)`` or against a memory.

    Within the batch (Eq. 1) both sides of a pair receive gradient, and self-pairs are left out.
    Against a memory (Eq. 4) only the anchors do, and ``own`` names each anchor's own entry, which
    is left out by identity. Eq. 4 drops Eq. 1's 1/m on its right-hand side; it is kept here.

    Args:
        reduction: "sum" divides the sum over pairs by m (Eq. 1). "mean" divides it by the number
            of its terms instead: pairs for contrastive, triplets for triplet, and for
            multi-similarity, which takes one log-sum an anchor, anchors with a valid pair.

    Attributes:
        valid: :class:`ValidPairs` of the latest call; None before the first.
    """

    def __init__(self, reduction: str = "sum") -> None:
        super().__init__()
        if reduction not in ("sum", "mean"):
            raise ValueError(f'reduction={reduction!r}: use "sum" or "mean"')
        self.reduction = reduction
        self.valid: ValidPairs | None = None

    def weigh(self, positives: Tensor, negatives: Tensor) -> Weighting:
        """Weigh the pairs of m anchors; the one thing that a loss has to define.

        Args:
            positives: (m, P) S_ij of the pairs of one class, self-pairs left out, in any order,
                without gradient; +inf where there is no pair.
            negatives: (m, n) S_ij of pairs of two classes, at least those above
                :meth:`bound`; -inf where there is no pair.
        """
        raise NotImplementedError

    def bound(self, positives: Tensor) -> Tensor:
        """(m,) similarity at or below which a negative of the anchor has no weight.

        A loss that states it is quick against a large memory, most of which is never looked at
        twice. Unless it does, every negative is weighed.

        Args:
            positives: as in :meth:`weigh`.
        """
        return positives.new_full((len(positives),), -torch.inf)

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
        """Loss of a batch of anchors.

        Products are taken in at least float32, whatever the inputs. A bfloat16 memory of unit
        vectors, or a ``shadow``, is searched at bfloat16's speed, and what might be above
        :meth:`bound` decided in float32.

        Args:
            anchors: (m, D) embeddings v_i, unit length, with gradient.
            labels: (m,) integers.
            memory: the queue to compare with, or (M, D) embeddings; the batch itself when left
                out.
            memory_labels: (M,) integers, with embeddings only: a queue has its labels.
            own: (m,) slot of each anchor's own entry in ``memory``, -1 for none: what
                :meth:`xbmlib.queue.CrossBatchMemory.enqueue` returns.
            shadow: bfloat16 copy of the embeddings, with embeddings only: a queue has its
                :attr:`~xbmlib.queue.CrossBatchMemory.shadow`. The same value and gradient in less
                time.

        Returns:
            Scalar. Zero, with a gradient of zeros, where there is no valid pair.

        Raises:
            ValueError: shapes that do not agree, labels or a shadow beside a queue, or ``own``
                outside [-1, M). That last check would make a GPU wait, so there it is left out,
                and such a slot matches no entry.
        """
        return self.over(
            anchors, labels, references(anchors, labels, memory, memory_labels, own, shadow)
        )

    def over(self, anchors: Tensor, labels: Tensor, refs: References) -> Tensor:
        """The loss against references that have been checked; see :meth:`forward`."""
        loss, self.valid = _PairSum.apply(anchors, labels, refs, self)
        return loss

    @torch.no_grad()
    def weights(
        self,
        anchors: Tensor,
        labels: Tensor,
        memory: Tensor | CrossBatchMemory | None = None,
        memory_labels: Tensor | None = None,
        *,
        own: Tensor | None = None,
        shadow: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """The w_ij of Section 3.1, (m, M) and >= 0; arguments as for the loss."""
        refs = references(anchors, labels, memory, memory_labels, own, shadow)
        out: Tensor | None = None
        for block, weighting in self._weighed(anchors, labels, refs):
            if out is None:
                out = weighting.loss.new_zeros(len(anchors), len(refs.labels))
            rows = torch.arange(len(anchors), device=out.device)[block.at, None]
            out[rows, block.near] += weighting.negatives[:, block.own_negatives]
            out[rows, block.matched] += weighting.positives[:, block.own_positives]
        return anchors.new_zeros(0, len(refs.labels)) if out is None else out

    def _weighed(
        self, anchors: Tensor, labels: Tensor, refs: References
    ) -> Iterator[tuple[Block, Weighting]]:
        with torch.autocast(anchors.device.type, enabled=False):
            for block in blocks(anchors, labels, refs, self.bound):
                yield block, self.weigh(block.positives, block.negatives)
                del block


class _PairSum(torch.autograd.Function):
    """Sum of L_i over the anchors, with the gradient of Eq. 5 found in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, anchors: Tensor, labels: Tensor, refs: References, loss: PairLoss
    ) -> tuple[Tensor, ValidPairs]:
        dtype = torch.promote_types(anchors.dtype, torch.float32)
        grad = torch.zeros_like(anchors, dtype=dtype, memory_format=torch.contiguous_format)
        total, terms = grad.new_zeros(()), grad.new_zeros(())
        none = labels.new_zeros(0)
        negatives, positives = [none], [none]
        for block, weighting in loss._weighed(anchors, labels, refs):
            total += weighting.loss.sum()
            terms += weighting.terms.sum()
            pushed = weighting.negatives[:, block.own_negatives]
            pulled = weighting.positives[:, block.own_positives]
            if block.whole:
                _push_all(grad, block.at, (pushed - pulled).to(dtype), anchors, refs.memory)
            else:
                signed = torch.cat([pushed, pulled.neg()], 1).to(dtype)
                columns = torch.cat([block.near, block.matched])
                _push(grad, block.at, signed, columns, anchors, refs.memory)
                del signed
            negatives.append((weighting.negatives > 0).sum(1))
            positives.append((weighting.positives > 0).sum(1))
            del block, weighting, pushed, pulled
        sums = refs.exchange.finish(
            Sums(grad, total, terms, len(anchors), torch.cat(negatives), torch.cat(positives))
        )
        mean = loss.reduction == "mean"
        scale = 1 / sums.terms.clamp_min(1) if mean else 1 / max(1, sums.anchors)
        ctx.save_for_backward((sums.grad * scale).to(anchors.dtype))
        return sums.total * scale, ValidPairs(sums.negatives, sums.positives)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * grad_loss.to(grad.dtype), None, None, None


def _push(
    grad: Tensor,
    at: slice,
    signed: Tensor,
    columns: Tensor,
    anchors: Tensor,
    memory: Tensor | None,
) -> None:
    """Add sum_j +-w_ij v_j to the gradient; within the batch, to both sides of a pair."""
    refs = anchors if memory is None else memory
    # Few pairs are valid: only their entries take part in the product.
    used = signed.any(0).nonzero().squeeze(1)
    with torch.autocast(anchors.device.type, enabled=False):
        for part in used.split(TILE):
            weights, there = signed.index_select(1, part), columns[part]
            grad[at].addmm_(weights, refs.index_select(0, there).to(grad.dtype))
            if memory is None:
                grad.index_add_(0, there, weights.T @ anchors[at].to(grad.dtype))


def _push_all(
    grad: Tensor, at: slice, signed: Tensor, anchors: Tensor, memory: Tensor | None
) -> None:
    """:func:`_push` where every entry has a column, in their order."""
    refs = anchors if memory is None else memory
    with torch.autocast(anchors.device.type, enabled=False):
        for weights, part in zip(signed.split(4 * TILE, 1), refs.split(4 * TILE), strict=True):
            grad[at].addmm_(weights, part.to(grad.dtype))
        if memory is None:
            grad.addmm_(signed.T, anchors[at].to(grad.dtype))
