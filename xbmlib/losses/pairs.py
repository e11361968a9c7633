"""General pair weighting (Eq. 1, 4, 5): what all pair-based losses share.

A loss defines how it weighs the similarities of an anchor (:meth:`PairLoss.weigh`), and at or below
which similarity a negative has no weight (:meth:`PairLoss.bound`). This module takes the pairs from
:mod:`xbmlib.losses.candidates`, and turns the weights into the loss and its gradient in closed
form, dL/dv_i = sum_j ±w_ij v_j (Eq. 5), a block of anchors at a time.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xbmlib.integers import as_labels
from xbmlib.losses import crowd
from xbmlib.losses.candidates import Block, Crowd, blocks
from xbmlib.losses.exchange import Sums
from xbmlib.losses.gradient import add_dense_gradient, add_gradient
from xbmlib.losses.inputs import References, references, warn_unless_unit
from xbmlib.losses.opaque import opaque_loss
from xbmlib.losses.second import refuse_second_derivatives
from xbmlib.losses.stream import Statistics, Stream, Summary
from xbmlib.queue import CrossBatchMemory
from xbmlib.registry import Registered


class Weighting(NamedTuple):
    """What :meth:`PairLoss.weigh` returns: the loss of m anchors and the weights of their pairs.

    Attributes:
        loss: (m,) L_i, the loss of each anchor.
        positives: (m, P) w_ij >= 0, abs(dL_i / dS_ij); zero at pairs that are not valid.
        negatives: (m, C) likewise.
        terms: (m,) number of terms that L_i sums: pairs, triplets, or 1 for a log-sum.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 2)
        >>> Weighting(loss=one.sum(1), positives=one, negatives=one, terms=one.sum(1)).loss
        tensor([2.])
    """

    loss: Tensor
    positives: Tensor
    negatives: Tensor
    terms: Tensor


class ValidPairs(NamedTuple):
    """Number of pairs with a gradient (Section 3.3, "Hard Mining Ability") of each anchor.

    Attributes:
        negatives: (m,) int64.
        positives: (m,) int64.

    Example:
        >>> import torch
        >>> from xbmlib import ContrastiveLoss
        >>> loss = ContrastiveLoss(lam=0.5)
        >>> value = loss(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 1, 1]))
        >>> loss.valid.negatives.tolist(), loss.valid.positives.tolist()
        ([1, 1, 0], [0, 1, 1])
    """

    negatives: Tensor
    positives: Tensor


class PairLoss(Registered):
    """Lets a pair-based loss see a memory of any size in bounded space, from its weights alone.

    Base of the losses here, and of custom ones: a subclass defines :meth:`weigh`, and
    :meth:`bound` if it can. Called as ``loss(anchors, labels)`` within the batch (Eq. 1), where
    both sides of a pair receive gradient and self-pairs are left out; or as
    ``loss(anchors, labels, memory, own=slots)`` against a memory (Eq. 4), where only the anchors
    receive gradient, and each anchor's own entry is left out by its slot, not by its similarity.
    Eq. 4 drops Eq. 1's 1/m on its right-hand side; it is kept here. Symbols: :mod:`xbmlib`.

    Args:
        reduction: "sum" is Eq. 1: L_i sums over the pairs of anchor i, and the loss is the mean of
            L_i over the m anchors. "mean" divides the sum over all pairs by the number of its
            terms: pairs (contrastive), triplets (triplet), or anchors with a valid pair
            (multi-similarity, with one log-sum per anchor).
        method: how a memory that one process holds whole is compared with: "search" on any device;
            "one_pass" on a GPU, with Triton, which reads the entries once, never waits for the
            device, and can be captured in a CUDA graph. It needs :meth:`stream`, and its value is
            NaN where more than 16 m entries (and 1,024) are of the anchors' classes.

    Attributes:
        valid: :class:`ValidPairs` of the latest call; None before the first.

    Raises:
        ValueError: another reduction or method.

    Example:
        >>> import torch
        >>> class Linear(PairLoss):
        ...     def weigh(self, positives, negatives):
        ...         p, n = positives.isfinite().float(), negatives.isfinite().float()
        ...         loss = negatives.where(n > 0, 0).sum(1) - positives.where(p > 0, 0).sum(1)
        ...         return Weighting(loss, p, n, terms=p.sum(1) + n.sum(1))
        >>> anchors = torch.eye(2)[[0, 0, 1]].requires_grad_()
        >>> Linear()(anchors, torch.tensor([0, 0, 1])).backward()
        >>> anchors.grad
        tensor([[-0.6667,  0.6667],
                [-0.6667,  0.6667],
                [ 1.3333,  0.0000]])
    """

    def __init__(self, reduction: str = "sum", *, method: str = "search") -> None:
        super().__init__()
        if reduction not in ("sum", "mean"):
            raise ValueError(f'reduction={reduction!r}: use "sum" or "mean"')
        if method not in ("search", "one_pass"):
            raise ValueError(f'method={method!r}: use "search" or "one_pass"')
        self.reduction, self.method = reduction, method
        self.valid: ValidPairs | None = None

    def weigh(self, positives: Tensor, negatives: Tensor) -> Weighting:
        """Weigh the pairs of m anchors; a loss has to define this.

        Args:
            positives: (m, P) S_ij of the positive pairs, self-pairs left out, in any order,
                without gradient; +inf where there is no pair.
            negatives: (m, C) S_ij of the negative pairs, at least of those above
                :meth:`bound`; -inf where there is no pair.

        Returns:
            A :class:`Weighting`: L_i of each anchor, w_ij >= 0 of both kinds of pairs in the shapes
            given, and the number of terms of each L_i.
        """
        raise NotImplementedError

    def bound(self, positives: Tensor) -> Tensor:
        """(m,) similarity at or below which a negative of the anchor has no weight.

        With it, a loss is fast against a large memory, most of which costs one product only.
        Unless a loss overrides it, every negative is weighed.

        Args:
            positives: as in :meth:`weigh`.
        """
        return positives.new_full((len(positives),), -torch.inf)

    def stream(self) -> Stream | None:
        """What one pass over the memory has to know to weigh a negative; None if it cannot.

        With it and :meth:`summarise`, beside :meth:`bound`, a loss has ``method="one_pass"``.
        """
        return None

    def summarise(self, positives: Tensor, negatives: Statistics) -> Summary:
        """The loss, and the weights of its positives, from what one pass found.

        Args:
            positives: as in :meth:`weigh`; where :meth:`stream` needs "ranks", in ascending order.
            negatives: of the negatives that :meth:`stream` calls valid.
        """
        raise NotImplementedError

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
            anchors: (m, D) embeddings v_i of norm 1, with gradient.
            labels: (m,) integers of any dtype, or bool.
            memory: the queue to compare with, or (M, D) embeddings; the batch itself when left
                out.
            memory_labels: (M,) likewise, with embeddings only: a queue has its labels.
            own: (m,) integers, the slot of each anchor's own entry in ``memory``, -1 for none:
                what :meth:`xbmlib.queue.CrossBatchMemory.enqueue` returns.
            shadow: (entries, norm) as a :class:`xbmlib.queue.Shadow`, the (M, D) bfloat16 copy of
                the embeddings and a scalar of at least the norm of each, with embeddings only: a
                queue has its :attr:`~xbmlib.queue.CrossBatchMemory.shadow`. The same value and
                gradient in less time.

        Returns:
            Scalar, in at least float32, whose gradient is rounded to the anchors' dtype last. Zero,
            with a gradient of zeros, where there is no valid pair.

        Warns:
            UserWarning: at the first call, on a CPU: anchors whose norm is not 1.

        Raises:
            RuntimeError: in a backward pass with ``create_graph=True``: the gradient is computed in
                closed form, and has no derivative of its own.
            ValueError: shapes that do not agree, embeddings that are not floating point, labels
                that are not integers, labels or a shadow beside a queue, or ``own`` outside
                [-1, M). That last check would make a GPU wait, so there it is left out, and such a
                slot matches no entry.
        """
        if torch.compiler.is_compiling():
            value, *valid = opaque_loss(
                self._number, anchors, labels, memory, memory_labels, own, shadow
            )
            self.valid = ValidPairs(*valid)
            return value
        refs = references(anchors, labels, memory, memory_labels, own, shadow)
        if self.valid is None:
            warn_unless_unit(anchors)
        return self.compare(anchors, labels, refs)

    def compare(self, anchors: Tensor, labels: Tensor, refs: References) -> Tensor:
        """The loss against checked references; see :meth:`forward`."""
        loss, self.valid = _PairSum.apply(anchors, as_labels("labels", labels), refs, self)
        return loss

    @torch.no_grad()
    def sums(
        self, anchors: Tensor, labels: Tensor, refs: References
    ) -> tuple[Tensor, Tensor, ValidPairs]:
        """Value, its gradient and the valid pairs, against checked references.

        Returns:
            A scalar, (m, D), and counts; the first two in at least float32.
        """
        found = refs.exchange.reduce(self._find_sums(anchors, labels, refs))
        mean = self.reduction == "mean"
        scale = 1 / found.terms.clamp_min(1) if mean else 1 / max(1, found.anchors)
        valid = ValidPairs(found.negatives, found.positives)
        return found.total * scale, found.grad * scale, valid

    def _find_sums(self, anchors: Tensor, labels: Tensor, refs: References) -> Sums:
        one_pass = self.method == "one_pass" and refs.memory is not None
        if one_pass and refs.exchange.holds_all and anchors.numel() and len(refs.labels):
            return _one_pass(self, anchors, labels, refs)
        dtype = torch.promote_types(anchors.dtype, torch.float32)
        grad = torch.zeros_like(anchors, dtype=dtype, memory_format=torch.contiguous_format)
        total, terms = grad.new_zeros(()), grad.new_zeros(())
        none = labels.new_zeros(0)
        negatives, positives = [none], [none]
        stream = self._own_stream()
        fits = partial(crowd.fits, stream)
        with torch.autocast(anchors.device.type, enabled=False):
            for block in blocks(anchors, labels, refs, self.bound, fits):
                if isinstance(block, Crowd):
                    assert stream is not None
                    found = self._add_crowd(stream, block, grad, anchors, refs)
                else:
                    found = self._add_block(block, grad, anchors, refs)
                total += found.loss.sum()
                terms += found.terms.sum()
                negatives.append(found.negatives)
                positives.append(found.positives)
                # Before the next is made.
                del block
        counts = torch.cat(negatives), torch.cat(positives)
        return Sums(grad, total, terms, len(anchors), *counts)

    def _own_stream(self) -> Stream | None:
        """The stream, unless a subclass has replaced what it is of, `weigh` or `bound`."""
        sums, *of = (
            next(c for c in type(self).__mro__ if name in vars(c))
            for name in ("summarise", "weigh", "bound")
        )
        return self.stream() if all(issubclass(sums, c) for c in of) else None

    def _add_block(self, block: Block, grad: Tensor, anchors: Tensor, refs: References) -> _Added:
        """Add a block's gradient."""
        weighting = self.weigh(block.positives, block.negatives)
        away = weighting.negatives[:, block.local_negatives]  # (m, C)
        towards = weighting.positives[:, block.local_positives]  # (m, P)
        if block.dense:
            signed = (away - towards).to(grad.dtype)
            add_dense_gradient(grad, block.rows, signed, anchors, refs.memory)
        else:
            signed = torch.cat([away, towards.neg()], 1).to(grad.dtype)
            columns = torch.cat([block.negative_columns, block.positive_columns])
            add_gradient(grad, block.rows, signed, columns, anchors, refs.memory)
        valid = (weighting.negatives > 0).sum(1), (weighting.positives > 0).sum(1)
        return _Added(weighting.loss, weighting.terms, *valid)

    def _add_crowd(
        self, stream: Stream, block: Crowd, grad: Tensor, anchors: Tensor, refs: References
    ) -> _Added:
        """Add a crowd's gradient."""
        summary, valid, away = crowd.compare(self, stream, block, refs)
        grad[block.rows] += away
        towards = summary.positives.neg().to(grad.dtype)
        add_gradient(grad, block.rows, towards, block.positive_columns, anchors, refs.memory)
        return _Added(summary.loss, summary.terms, valid, (summary.positives > 0).sum(1))

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
        """The w_ij of Section 3.1, (m, M) and >= 0; arguments as for the loss.

        Raises:
            ValueError: as for the loss.
        """
        refs = references(anchors, labels, memory, memory_labels, own, shadow)
        labels = as_labels("labels", labels)
        out: Tensor | None = None
        with torch.autocast(anchors.device.type, enabled=False):
            for block in blocks(anchors, labels, refs, self.bound):
                assert isinstance(block, Block)
                weighting = self.weigh(block.positives, block.negatives)
                if out is None:
                    out = weighting.loss.new_zeros(len(anchors), len(refs.labels))
                rows = torch.arange(len(anchors), device=out.device)[block.rows, None]
                out[rows, block.negative_columns] += weighting.negatives[:, block.local_negatives]
                out[rows, block.positive_columns] += weighting.positives[:, block.local_positives]
        return anchors.new_zeros(0, len(refs.labels)) if out is None else out


class _Added(NamedTuple):
    """Of m anchors: L_i, its terms, and the numbers of valid pairs."""

    loss: Tensor
    terms: Tensor
    negatives: Tensor
    positives: Tensor


def _one_pass(loss: PairLoss, anchors: Tensor, labels: Tensor, refs: References) -> Sums:
    """The sums by the kernels, which are imported when they are first used.

    Raises:
        ValueError: a loss that declares no stream, or no Triton.
    """
    stream = loss._own_stream()
    if stream is None:
        raise ValueError(
            f"{type(loss).__name__} declares no stream for method='one_pass': define `stream` and "
            "`summarise` beside `weigh` and `bound`, or use method='search'"
        )
    try:
        from xbmlib.losses.one_pass import one_pass
    except ImportError as error:
        raise ValueError(
            f"method='one_pass' needs Triton, which torch for Linux comes with ({error}): use "
            "method='search'"
        ) from error
    with torch.autocast(anchors.device.type, enabled=False), torch.cuda.device_of(anchors):
        return one_pass(loss, stream, anchors, labels, refs)


class _PairSum(torch.autograd.Function):
    """Sum of L_i over the anchors, with the gradient of Eq. 5 computed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, anchors: Tensor, labels: Tensor, refs: References, loss: PairLoss
    ) -> tuple[Tensor, ValidPairs]:
        value, grad, valid = loss.sums(anchors, labels, refs)
        # Not yet in the anchors' dtype: a scaled gradient may fit float16 where the scale does not.
        ctx.save_for_backward(grad)
        ctx.dtype, ctx.name = anchors.dtype, type(loss).__name__
        return value, valid

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives(ctx.name)
        (grad,) = ctx.saved_tensors
        return (grad * grad_loss).to(ctx.dtype), None, None, None
