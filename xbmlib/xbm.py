"""Cross-batch memory in one call: warm-up, enqueue, batch loss and memory loss (Algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from xbmlib.integers import real_number, whole_number
from xbmlib.losses import MetricLearningLoss, PairLoss
from xbmlib.queue import CrossBatchMemory, count_of
from xbmlib.registry import Registered, registered
from xbmlib.state import CheckedState, check_state


class XBM(Registered, CheckedState):
    """Wraps a pair-based loss to compare anchors with a memory of past mini-batches too.

    Each training call is one step of Algorithm 1. In the first ``start`` of them, while embeddings
    still drift fast (Section 3.3), the value is the loss within the batch. From then on the batch
    is enqueued, and the value is that loss plus ``weight`` times the loss against the memory, which
    leaves out each anchor's own entry.

    In evaluation mode, or where gradients are disabled, a call does not count as a step: the
    value is the same sum against the memory as it stands, and nothing is enqueued.

    ``state_dict()`` holds the memory with its pointer, the number of steps and the loss's own
    state, so a run resumes bit for bit; a state that is refused leaves all of it as it was. Pass
    ``parameters()`` to the optimiser if the loss has any. The memory is that of one process: with
    several, use :mod:`xbmlib.distributed`. Symbols: :mod:`xbmlib`.

    Args:
        loss: a :class:`xbmlib.losses.PairLoss`, or a loss of pairs or triplets of
            pytorch-metric-learning, which is put into
            :class:`xbmlib.losses.MetricLearningLoss`.
        size: M, at least 1; the paper's R_M = 1 is the number of training images.
        dim: D, at least 1.
        start: number of steps before the memory joins, at least 0 (Section 3.3: 1,000).
        weight: of the memory loss, above 0 (released code: 1).
        batch_loss: whether the batch's own loss stays beside the memory's, as in the released
            code; False is Algorithm 1 as printed, the memory's alone.
        dtype: of the stored embeddings; see :class:`xbmlib.queue.CrossBatchMemory`.
        shadow: search a bfloat16 copy of float32 entries; see there.
        device: of the memory; ``.to()`` moves it later.

    Attributes:
        memory: the :class:`xbmlib.queue.CrossBatchMemory`.
        loss: the loss; its ``valid`` counts the pairs of its latest call.
        steps: number of training calls so far.

    Raises:
        ValueError: an argument out of range, or a loss that does not take given pairs.

    Example:
        >>> import torch
        >>> from torch.nn.functional import normalize
        >>> from xbmlib import XBM, ContrastiveLoss
        >>> net = torch.nn.Linear(32, 8)
        >>> xbm = XBM(ContrastiveLoss(), size=100, dim=8, start=2)
        >>> for _ in range(4):
        ...     images, labels = torch.randn(16, 32), torch.arange(16) // 4
        ...     value = xbm(normalize(net(images)), labels)
        ...     value.backward()
        >>> xbm.steps, len(xbm.memory)
        (4, 32)
    """

    loss: PairLoss | MetricLearningLoss

    def __init__(
        self,
        loss: nn.Module,
        *,
        size: int,
        dim: int,
        start: int = 1000,
        weight: float = 1.0,
        batch_loss: bool = True,
        dtype: torch.dtype = torch.float32,
        shadow: bool = False,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        start = whole_number("start", start, 0)
        weight = real_number("weight", weight)
        if not 0 < weight < math.inf:
            raise ValueError(f"weight={weight!r}: give a finite number above 0")
        if not isinstance(loss, nn.Module):
            raise ValueError(
                f"loss of type {type(loss).__name__}: give a loss itself, say ContrastiveLoss()"
            )
        if not isinstance(loss, PairLoss | MetricLearningLoss):
            loss = MetricLearningLoss(loss)
        self.loss = loss
        self.memory = CrossBatchMemory(size, dim, dtype=dtype, device=device, shadow=shadow)
        self.start, self.weight, self.batch_loss = start, weight, batch_loss
        # On the CPU, so that the warm-up costs no device synchronisation; a tensor, because a
        # compiled graph would be compiled anew for each value of a Python int.
        self._count = torch.zeros((), dtype=torch.int64, device="cpu")
        self._warm = start == 0

    @property
    def steps(self) -> int:
        """Number of training calls so far."""
        return int(self._count)

    @property
    def warm(self) -> bool:
        """Whether the warm-up is over, so that the memory takes part in the next call."""
        return self._warm

    def forward(self, anchors: Tensor, labels: Tensor, ids: Tensor | None = None) -> Tensor:
        """Loss of a mini-batch.

        Args:
            anchors: (m, D) embeddings of norm 1, with gradient, on the memory's device.
            labels: (m,) integers of any dtype, or bool.
            ids: (m,) likewise, that name the images in :attr:`memory`, optional.

        Returns:
            Scalar; its gradient reaches the anchors, and never the memory's entries.

        Raises:
            ValueError: shapes that do not agree with each other or with D, another dtype or device.
                The call is then not counted and nothing is enqueued. The same holds for whatever
                the loss raises, but under ``torch.compile``.
        """
        self.memory.check(anchors, labels, ids)
        device = self.memory.features.device
        if anchors.device != device:
            raise ValueError(
                f"anchors on {anchors.device}, the memory on {device}: move it with "
                f".to({str(anchors.device)!r})"
            )
        for name, value in (("labels", labels), ("ids", ids)):
            if value is not None and value.device != device:
                raise ValueError(f"{name} on {value.device}, anchors on {device}: move them there")
        step = self.training and torch.is_grad_enabled()
        total = anchors.new_zeros(())
        if self.batch_loss or not self.warm:
            total = total + self.loss(anchors, labels)
        if self.warm:
            total = total + self.weight * self._against_memory(anchors, labels, ids, step)
        if step and torch.compiler.is_compiling():
            _count_step(self._count, self._number)
        elif step:
            self._count_call(self._count)
        return total

    def _against_memory(
        self, anchors: Tensor, labels: Tensor, ids: Tensor | None, step: bool
    ) -> Tensor:
        """The loss against the memory; in a step the batch is in it, and stays if that is done."""
        if not step:
            return self.loss(anchors, labels, self.memory)
        # A graph has no handler.
        put_back = None if torch.compiler.is_compiling() else self.memory.keep(len(anchors))
        own = self.memory.enqueue(anchors, labels, ids)
        if put_back is None:
            return self.loss(anchors, labels, self.memory, own=own)
        try:
            return self.loss(anchors, labels, self.memory, own=own)
        except BaseException:
            put_back()
            raise

    def _count_call(self, count: Tensor) -> None:
        count += 1
        self._warm = int(count) >= self.start

    def check_state(self, state: Mapping[str, Any], prefix: str, strict: bool) -> None:
        """Refuse a state that does not fit: of memory, loss and steps, all is taken or nothing.

        Raises:
            RuntimeError: see :func:`xbmlib.state.check_state`.
            ValueError: a number of entries or of steps that is none.
        """
        self.memory.check_state(state, f"{prefix}memory.", strict)
        check_state(self, state, prefix, strict=strict, whole=False)
        if f"{prefix}_extra_state" in state:
            count_of(state[f"{prefix}_extra_state"])

    def get_extra_state(self) -> Tensor:
        """The number of steps, as ``state_dict`` stores it."""
        return torch.tensor(self.steps, device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the number of steps from :meth:`get_extra_state`."""
        self._count.fill_(count_of(state))
        self._warm = self.steps >= self.start

    def extra_repr(self) -> str:
        """Warm-up and weights for ``repr``."""
        return f"start={self.start}, weight={self.weight}, batch_loss={self.batch_loss}"


@torch.library.custom_op(
    "xbmlib::count_step", mutates_args=("count",), schema="(Tensor(a!) count, int number) -> ()"
)
def _count_step(count: Tensor, number: int) -> None:
    """Count a training call of the registered module; one operator, so that a graph may hold it."""
    xbm: Any = registered(number)
    # The argument, not the module's own: a graph may pass a copy, and write it back later.
    xbm._count_call(count)
