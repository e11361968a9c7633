"""General pair weighting (Eq. 1, 4, 5): what every pair-based loss here shares.

A loss states only how it weighs the similarities of an anchor (:meth:`PairLoss.weigh`). This
module computes the similarities, leaves out self-pairs, and turns the weights into the loss and
its gradient in closed form, dL/dv_i = sum_j +-w_ij v_j (Eq. 5), a block of anchors at a time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Entries of one block of similarities: 4 Mi of float32 are 16 MiB, and a few such blocks live.
BLOCK = 1 << 22


class Weighting(NamedTuple):
    """What a loss makes of a block of similarities.

    Attributes:
        loss: (m,) L_i, the loss of each anchor.
        weights: (m, M) w_ij >= 0, |dL_i/dS_ij|; zero at pairs that are not valid.
        terms: (m,) number of terms that L_i sums: pairs, triplets, or 1 for a log-sum.
    """

    loss: Tensor
    weights: Tensor
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

    def weigh(self, s: Tensor, positive: Tensor, negative: Tensor) -> Weighting:
        """Weigh a block of similarities; the one thing that a loss defines.

        Args:
            s: (m, M) cosine similarities S_ij, without gradient.
            positive: (m, M) bool, pairs of one class, self-pairs left out.
            negative: (m, M) bool, pairs of two classes.
        """
        raise NotImplementedError

    def forward(
        self,
        anchors: Tensor,
        labels: Tensor,
        memory: Tensor | None = None,
        memory_labels: Tensor | None = None,
        *,
        own: Tensor | None = None,
    ) -> Tensor:
        """Loss of a batch of anchors.

        Args:
            anchors: (m, D) embeddings v_i, unit length, with gradient.
            labels: (m,) integers.
            memory: (M, D) embeddings to compare with; the batch itself when left out.
            memory_labels: (M,) integers; required with ``memory``.
            own: (m,) slot of each anchor's own entry in ``memory``, -1 for none. What
                :meth:`xbmlib.queue.CrossBatchMemory.enqueue` returns.

        Returns:
            Scalar. Zero, with a gradient of zeros, where there is no valid pair.

        Raises:
            ValueError: shapes that do not agree, or ``own`` outside [-1, M).
        """
        memory, memory_labels, own = _references(anchors, labels, memory, memory_labels, own)
        loss, self.valid = _PairSum.apply(anchors, labels, memory, memory_labels, own, self)
        return loss

    @torch.no_grad()
    def weights(
        self,
        anchors: Tensor,
        labels: Tensor,
        memory: Tensor | None = None,
        memory_labels: Tensor | None = None,
        *,
        own: Tensor | None = None,
    ) -> Tensor:
        """The w_ij of Section 3.1, (m, M) and >= 0; arguments as for the loss."""
        refs = _references(anchors, labels, memory, memory_labels, own)
        blocks = [w.weights for _, w, _ in _blocks(anchors, labels, *refs, self)]
        return torch.cat(blocks) if blocks else anchors.new_zeros(0, refs[1].shape[0])


def _references(
    anchors: Tensor,
    labels: Tensor,
    memory: Tensor | None,
    memory_labels: Tensor | None,
    own: Tensor | None,
) -> tuple[Tensor | None, Tensor, Tensor | None]:
    """Check the arguments of a loss; within the batch, each anchor is its own entry."""
    if anchors.ndim != 2 or labels.shape != anchors.shape[:1]:
        raise ValueError(
            f"anchors {tuple(anchors.shape)} with labels {tuple(labels.shape)}: "
            "give (m, D) and (m,)"
        )
    if memory is None:
        if memory_labels is not None or own is not None:
            raise ValueError("memory_labels and own come with memory: give it too")
        return None, labels, torch.arange(len(labels), device=anchors.device)
    if memory_labels is None or memory.ndim != 2 or memory.shape[1] != anchors.shape[1]:
        raise ValueError(
            f"memory {tuple(memory.shape)} for anchors {tuple(anchors.shape)}: "
            "give (M, D) of the same D, and memory_labels (M,)"
        )
    if memory_labels.shape != memory.shape[:1]:
        raise ValueError(
            f"memory_labels {tuple(memory_labels.shape)}: give one for each of "
            f"{len(memory)} entries"
        )
    if own is not None:
        if own.shape != labels.shape:
            raise ValueError(
                f"own {tuple(own.shape)}: give a slot for each of {len(labels)} anchors"
            )
        if own.numel() and not (int(own.min()) >= -1 and int(own.max()) < len(memory)):
            raise ValueError(
                f"own from {int(own.min())} to {int(own.max())}: give slots of a memory of "
                f"{len(memory)} entries, or -1 for an anchor with no entry there"
            )
    return memory.detach(), memory_labels, own


def _blocks(
    anchors: Tensor,
    labels: Tensor,
    memory: Tensor | None,
    memory_labels: Tensor,
    own: Tensor | None,
    loss: PairLoss,
) -> Any:
    """Yield (rows, Weighting, same-class mask) for blocks of anchors, in bounded memory."""
    refs = anchors if memory is None else memory
    # bf16 or fp16 similarities would round pairs across the threshold: products are taken in
    # at least float32, and autocast is kept out.
    dtype = torch.promote_types(torch.promote_types(anchors.dtype, refs.dtype), torch.float32)
    rows = max(1, BLOCK // max(1, len(refs)))
    for start in range(0, len(anchors), rows):
        at = slice(start, start + rows)
        s = anchors.new_empty((len(labels[at]), len(refs)), dtype=dtype)
        step = max(1, BLOCK // refs.shape[1])
        for j in range(0, len(refs), step):
            torch.mm(anchors[at].to(dtype), refs[j : j + step].to(dtype).T, out=s[:, j : j + step])
        same = labels[at, None] == memory_labels[None, :]
        positive = same
        if own is not None:
            slots = own[at]
            named = (slots >= 0).nonzero().squeeze(1)
            positive = same.clone()
            positive[named, slots[named]] = False
        yield at, loss.weigh(s, positive, ~same), same


class _PairSum(torch.autograd.Function):
    """Sum of L_i over the anchors, with the gradient of Eq. 5 found in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        labels: Tensor,
        memory: Tensor | None,
        memory_labels: Tensor,
        own: Tensor | None,
        loss: PairLoss,
    ) -> tuple[Tensor, ValidPairs]:
        with torch.autocast(anchors.device.type, enabled=False):
            return _PairSum._forward(ctx, anchors, labels, memory, memory_labels, own, loss)

    @staticmethod
    def _forward(
        ctx: Any,
        anchors: Tensor,
        labels: Tensor,
        memory: Tensor | None,
        memory_labels: Tensor,
        own: Tensor | None,
        loss: PairLoss,
    ) -> tuple[Tensor, ValidPairs]:
        refs = anchors if memory is None else memory
        dtype = torch.promote_types(anchors.dtype, torch.float32)
        grad = torch.zeros_like(anchors, dtype=dtype)
        total, terms = grad.new_zeros(()), grad.new_zeros(())
        negatives, positives = [], []
        for at, weighting, same in _blocks(anchors, labels, memory, memory_labels, own, loss):
            total += weighting.loss.sum()
            terms += weighting.terms.sum()
            signed = torch.where(same, -weighting.weights, weighting.weights)
            # Few pairs are valid: only their entries take part in the second product.
            used = signed.any(0).nonzero().squeeze(1)
            signed = signed[:, used].to(dtype)
            grad[at] += signed @ refs[used].to(dtype)
            if memory is None:
                grad.index_add_(0, used, signed.T @ anchors[at].to(dtype))
            valid = weighting.weights > 0
            negatives.append((valid & ~same).sum(1))
            positives.append((valid & same).sum(1))
        scale = 1 / terms.clamp_min(1) if loss.reduction == "mean" else 1 / max(1, len(anchors))
        ctx.save_for_backward((grad * scale).to(anchors.dtype))
        none = labels.new_zeros(0)
        counts = ValidPairs(torch.cat([none, *negatives]), torch.cat([none, *positives]))
        return total * scale, counts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * grad_loss.to(grad.dtype), None, None, None, None, None
