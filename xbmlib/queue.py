"""The cross-batch memory M of Section 3.3: a first-in, first-out queue of past embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from xbmlib.integers import as_labels, whole_number
from xbmlib.state import CheckedState, check_state

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


class Ring(CheckedState):
    """The pointer of a first-in, first-out queue: M slots, written in turn.

    Attributes:
        size: M, the number of slots.

    Example:
        >>> ring = Ring(3)
        >>> len(ring), ring.pointer, ring.full
        (0, 0, False)
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        # Pointer and fill follow from this number. On the CPU wherever the entries are, so that
        # neither costs a device synchronisation; a tensor, because a compiled graph would be
        # compiled anew for each value of a Python int.
        self._count = torch.zeros((), dtype=torch.int64, device="cpu")

    @property
    def _enqueued(self) -> int:
        """Number of entries enqueued so far."""
        return int(self._count)

    @_enqueued.setter
    def _enqueued(self, value: int) -> None:
        self._count.fill_(value)

    def __len__(self) -> int:
        """Number of entries held, at most M."""
        return min(self._enqueued, self.size)

    def __bool__(self) -> bool:
        """True even when empty, so that ``if memory`` tests for None."""
        return True

    @property
    def full(self) -> bool:
        """Whether M entries are held, so that the next one replaces the oldest."""
        return self._enqueued >= self.size

    @property
    def pointer(self) -> int:
        """Slot that the next entry is written to, in [0, M)."""
        return self._enqueued % self.size

    def check_state(self, state: Mapping[str, Any], prefix: str, strict: bool) -> None:
        """Refuse a state that does not fit, as ``load_state_dict`` does before it takes any of it.

        Raises:
            RuntimeError: see :func:`xbmlib.state.check_state`.
            ValueError: the count of entries is not an integer of at least 0.
        """
        check_state(self, state, prefix, strict=strict, whole=True)
        if f"{prefix}_extra_state" in state:
            count_of(state[f"{prefix}_extra_state"])


def count_of(state: Tensor) -> int:
    """A number of entries enqueued, or of steps, from a state.

    Raises:
        ValueError: not an integer of at least 0.
    """
    if not isinstance(state, Tensor) or state.numel() != 1 or state.is_floating_point():
        raise ValueError(f"a state that counts {state!r}: give it as it was saved")
    return whole_number("the state's count", int(state), 0)


class Shadow(NamedTuple):
    """A bfloat16 copy of a memory's entries, half as large, to search it by.

    Attributes:
        entries: (M, D) bfloat16.
        norm: scalar, at least the norm of every entry.

    Example:
        >>> import torch
        >>> memory = CrossBatchMemory(size=3, dim=2, shadow=True)
        >>> slots = memory.enqueue(2 * torch.eye(2), torch.tensor([0, 1]))
        >>> memory.shadow.entries.dtype, memory.shadow.norm
        (torch.bfloat16, tensor(2.))
    """

    entries: Tensor
    norm: Tensor


class CrossBatchMemory(Ring):
    """Keeps embeddings of past mini-batches, which approximate the current model's.

    A queue of the last M embeddings with their labels (Section 3.3, Algorithm 1), for about
    4 D + 16 bytes each. Nothing here takes part in a gradient. ``state_dict()`` holds the whole
    state, the pointer included, so a resumed run goes on with the same memory; a state that is
    refused leaves it as it was. Symbols: :mod:`xbmlib`.

    Args:
        size: M, the number of entries kept (>= 1).
        dim: D, the embedding dimension (>= 1).
        dtype: of the stored embeddings: float32, bfloat16, float16, or float64 for tests.
        device: where the entries live; move them later with ``.to()``.
        shadow: whether to keep a bfloat16 copy beside float32 entries, see :attr:`shadow`.

    Raises:
        ValueError: size or dim below 1, another dtype, or a shadow of entries that are not float32.

    Example:
        >>> import torch
        >>> from xbmlib import ContrastiveLoss
        >>> memory = CrossBatchMemory(size=3, dim=2)
        >>> anchors, labels = torch.eye(2).requires_grad_(), torch.tensor([7, 9])
        >>> memory.enqueue(anchors, labels)
        tensor([0, 1])
        >>> own = memory.enqueue(anchors, labels)
        >>> own, memory.labels
        (tensor([2, 0]), tensor([9, 9, 7]))
        >>> ContrastiveLoss()(anchors, labels, memory, own=own).backward()
    """

    features: Tensor
    classes: Tensor
    instances: Tensor
    shadow_features: Tensor | None
    norms: Tensor | None

    def __init__(
        self,
        size: int,
        dim: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        shadow: bool = False,
    ) -> None:
        size, dim = whole_number("size", size, 1), whole_number("dim", dim, 1)
        if dtype not in DTYPES:
            raise ValueError(f"dtype={dtype}: use one of {', '.join(map(str, DTYPES))}")
        if shadow and dtype != torch.float32:
            raise ValueError(f"shadow of {dtype}: a bfloat16 copy is only useful beside float32")
        super().__init__(size)
        self.dim = dim
        self.register_buffer("features", torch.zeros(size, dim, dtype=dtype, device=device))
        self.register_buffer("classes", torch.zeros(size, dtype=torch.int64, device=device))
        self.register_buffer("instances", torch.full((size,), -1, device=device))
        # Not in the state_dict, because they follow from the features.
        copies = torch.zeros(size, dim, dtype=torch.bfloat16, device=device) if shadow else None
        norms = torch.zeros(size, device=device) if shadow else None
        self.register_buffer("shadow_features", copies, persistent=False)
        self.register_buffer("norms", norms, persistent=False)

    @property
    def embeddings(self) -> Tensor:
        """The entries held, (len, D), in order of slots; a view without gradient."""
        return self.features[: len(self)]

    @property
    def labels(self) -> Tensor:
        """Labels of :attr:`embeddings`, (len,) int64."""
        return self.classes[: len(self)]

    @property
    def ids(self) -> Tensor:
        """Ids of :attr:`embeddings`, such as dataset indices, (len,) int64; -1 for none."""
        return self.instances[: len(self)]

    @property
    def age(self) -> Tensor:
        """Number of entries enqueued since each of :attr:`embeddings`, (len,) int64 in [0, M).

        At a constant batch size m, ``age // m`` is the number of steps since.
        """
        slots = torch.arange(len(self), device=self.classes.device)
        return (self._enqueued - 1 - slots) % self.size

    @property
    def shadow(self) -> Shadow | None:
        """The bfloat16 copy of :attr:`embeddings`, with the largest of their norms.

        With it a loss searches the memory at bfloat16's speed and decides in float32. None unless
        the memory was made with ``shadow=True``.
        """
        if self.shadow_features is None or self.norms is None:
            return None
        # Slots that were never written have norm 0.
        return Shadow(self.shadow_features[: len(self)], self.norms.max())

    def reset(self) -> None:
        """Forget every entry."""
        self._enqueued = 0
        self.features.zero_()
        self.classes.zero_()
        self.instances.fill_(-1)
        self._update_shadow(slice(None))

    @torch.no_grad()
    def enqueue(self, embeddings: Tensor, labels: Tensor, ids: Tensor | None = None) -> Tensor:
        """Store detached copies of a batch in place of the oldest entries.

        Args:
            embeddings: (B, D) floating point, of any dtype and device; B may exceed M.
            labels: (B,) integers of any dtype and value, or bool; stored in int64.
            ids: (B,) likewise, that name the images; optional.

        Returns:
            (B,) int64: the slot of each row in :attr:`embeddings`, for a loss's ``own``. Where
            B > M only the last M rows are kept, and the others have slot -1.

        Raises:
            ValueError: shapes that do not agree with each other or with D, or another dtype.
        """
        batch = self.check(embeddings, labels, ids)
        device = self.features.device
        order = torch.arange(batch, device=device)
        slots = (self._count + order) % self.size
        kept = slice(max(batch - self.size, 0), batch)
        slots[: kept.start] = -1
        written = slots[kept]
        self.features[written] = embeddings.detach()[kept].to(self.features)
        self.classes[written] = as_labels("labels", labels)[kept].to(self.classes)
        ids = None if ids is None else as_labels("ids", ids)[kept].to(self.instances)
        self.instances[written] = -1 if ids is None else ids
        self._update_shadow(written)
        self._count += batch
        return slots

    @torch.no_grad()
    def keep(self, batch: int) -> Callable[[], None]:
        """Copy what a batch of this size will replace.

        Args:
            batch: B, at least 0.

        Returns:
            A function that puts it back: the queue is then as it was before the batch.
        """
        rows = torch.arange(min(batch, self.size), device=self.features.device)
        slots, count = (self._count + rows) % self.size, self._enqueued
        buffers = self.features, self.classes, self.instances
        copies = [buffer[slots] for buffer in buffers]

        @torch.no_grad()
        def put_back() -> None:
            for buffer, copy in zip(buffers, copies, strict=True):
                buffer[slots] = copy
            self._enqueued = count
            self._update_shadow(slots)

        return put_back

    def check(self, embeddings: Tensor, labels: Tensor, ids: Tensor | None = None) -> int:
        """Check the arguments of :meth:`enqueue`; return B.

        Raises:
            ValueError: as :meth:`enqueue`.
        """
        if not isinstance(embeddings, Tensor):
            raise ValueError(f"embeddings of type {type(embeddings).__name__}: give a tensor")
        batch = embeddings.shape[0] if embeddings.ndim == 2 else -1
        if batch < 0 or embeddings.shape[1] != self.dim:
            raise ValueError(
                f"embeddings of shape {tuple(embeddings.shape)}: this memory takes (B, {self.dim})"
            )
        if not embeddings.is_floating_point():
            raise ValueError(f"embeddings of {embeddings.dtype}: give floating point")
        for name, value in (("labels", labels), ("ids", ids)):
            if value is not None and as_labels(name, value).shape != (batch,):
                raise ValueError(
                    f"{name} of shape {tuple(value.shape)}: give one for each of {batch} embeddings"
                )
        return batch

    def _update_shadow(self, slots: Tensor | slice) -> None:
        """Copy these slots' entries to the shadow."""
        if self.shadow_features is not None and self.norms is not None:
            self.shadow_features[slots] = self.features[slots].to(self.shadow_features)
            self.norms[slots] = self.features[slots].to(self.norms).norm(dim=1)

    def _apply(self, *arguments: Any, **named: Any) -> CrossBatchMemory:
        super()._apply(*arguments, **named)
        if self.shadow_features is not None and self.norms is not None:
            # ``.half()`` and the like convert every buffer: the copy and its norms keep their own.
            self.shadow_features = self.shadow_features.to(torch.bfloat16)
            self.norms = self.norms.to(torch.float32)
            self._update_shadow(slice(None))
        return self

    def get_extra_state(self) -> Tensor:
        """The number of entries ever enqueued, as ``state_dict`` stores it."""
        return torch.tensor(self._enqueued, device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the number of entries ever enqueued from :meth:`get_extra_state`.

        Raises:
            ValueError: not an integer of at least 0.
        """
        self._enqueued = count_of(state)
        self._update_shadow(slice(None))

    def extra_repr(self) -> str:
        """Size, dimension, fill and dtype for ``repr``."""
        return f"size={self.size}, dim={self.dim}, held={len(self)}, dtype={self.features.dtype}"


class Queue(Protocol):
    """The part of a memory's interface that :func:`initialise` needs."""

    @property
    def size(self) -> int:
        """M."""

    def __len__(self) -> int: ...

    def reset(self) -> None:
        """Forget every entry."""

    def enqueue(self, embeddings: Tensor, labels: Tensor, ids: Tensor | None = None) -> Tensor:
        """Store a batch."""


@torch.no_grad()
def initialise(
    memory: Queue,
    embed: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor, Tensor | None]],
) -> None:
    """Fill a memory with embeddings of training images by the warmed-up model (Section 3.3).

    Without this a memory fills up as training goes on: enqueue each batch.

    Args:
        memory: reset first, then filled until it is full or the batches end.
        embed: images to embeddings (B, D); called without gradient. Of a network, switch batch
            normalisation and dropout off before (``net.eval()``) and on after (``net.train()``):
            here they would stay as they are, and their statistics would change.
        batches: (images, labels, ids) of randomly sampled training images: images (B, ...), labels
            (B,), ids (B,) or None.

    Raises:
        ValueError: as :meth:`CrossBatchMemory.enqueue`.

    Example:
        >>> import torch
        >>> net, memory = torch.nn.Linear(32, 8), CrossBatchMemory(size=100, dim=8)
        >>> numbers = torch.arange(300)
        >>> batches = zip(torch.randn(300, 32).split(64), numbers.split(64), numbers.split(64))
        >>> initialise(memory, net.eval(), batches)
        >>> memory.full
        True
    """
    memory.reset()
    for images, labels, ids in batches:
        room = memory.size - len(memory)
        if room <= 0:
            break
        memory.enqueue(embed(images[:room]), labels[:room], None if ids is None else ids[:room])
