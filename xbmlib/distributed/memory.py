"""A cross-batch memory of which every rank holds a shard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from xbmlib.distributed.group import (
    DistributedError,
    Group,
    agree,
    all_gather_ints,
    code,
    decoded,
    rank_and_size,
)
from xbmlib.integers import whole_number
from xbmlib.queue import CrossBatchMemory, Ring, count_of
from xbmlib.state import check_state


class ShardedMemory(Ring):
    """The queue of :class:`xbmlib.queue.CrossBatchMemory`, divided over R ranks.

    Slot s of the queue is slot s div R of the shard on rank s mod R. The shards therefore fill
    evenly, each is itself a first-in, first-out queue of about M/R entries, and together they are
    the queue of one process at every step. All ranks enqueue the same global batch
    (:func:`xbmlib.distributed.gather`); the loss is :func:`xbmlib.distributed.memory_loss`.

    ``state_dict()`` belongs to one rank and resumes on the same number of ranks.
    :meth:`gathered_state` is that of the whole queue, from which any number of ranks, or a
    ``CrossBatchMemory``, can resume.

    Args:
        size: M, entries on all ranks together (at least R).
        dim: D.
        dtype: of the stored embeddings.
        device: of this rank's entries.
        shadow: see ``CrossBatchMemory``.
        group: of the processes; all of them by default.

    Attributes:
        shard: this rank's entries.

    Raises:
        ValueError: M below R, or as ``CrossBatchMemory``.
        DistributedError: no process group, or arguments that differ between ranks.

    Example:
        Of one rank; with ``torchrun`` each holds its share.

        >>> store = dist.HashStore()
        >>> dist.init_process_group("gloo", store=store, rank=0, world_size=1)
        >>> memory = ShardedMemory(size=3, dim=2)
        >>> memory.enqueue(torch.eye(2), torch.tensor([7, 9]))
        tensor([0, 1])
        >>> len(memory), memory.shard.labels
        (2, tensor([7, 9]))
        >>> dist.destroy_process_group()
    """

    def __init__(
        self,
        size: int,
        dim: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        shadow: bool = False,
        group: Group = None,
    ) -> None:
        rank, ranks = rank_and_size(group)
        numbers = [_sent(size), _sent(dim), code(dtype)]
        sizes, dims, dtypes = zip(*all_gather_ints(numbers, group), strict=True)
        remedy = "give all ranks the same"
        agree("size of the memory", sizes, remedy)
        agree("dim of the memory", dims, remedy)
        agree("dtype of the memory", decoded(dtypes), remedy)
        size, dim = whole_number("size", size, 1), whole_number("dim", dim, 1)
        if size < ranks:
            raise ValueError(
                f"size={size}: a memory over {ranks} ranks needs at least one entry on each"
            )
        super().__init__(size)
        self.rank, self.ranks, self.dim, self.group = rank, ranks, dim, group
        self.shard = CrossBatchMemory(
            self._below(size), dim, dtype=dtype, device=device, shadow=shadow
        )

    def _below(self, slot: int) -> int:
        """How many of the slots below this one are on this rank."""
        return len(range(self.rank, slot, self.ranks))

    @property
    def slots(self) -> Tensor:
        """(n,) int64, ascending: slot in the whole queue of each entry of :attr:`shard`."""
        device = self.shard.classes.device
        return self.rank + self.ranks * torch.arange(len(self.shard), device=device)

    @property
    def age(self) -> Tensor:
        """(n,) int64: entries enqueued on any rank since each entry of :attr:`shard`."""
        return (self._enqueued - 1 - self.slots) % self.size

    def local(self, slots: Tensor) -> Tensor:
        """Slots of the whole queue as slots of :attr:`shard`; -1 for those on other ranks."""
        here = (slots >= 0) & (slots % self.ranks == self.rank)
        return torch.where(here, slots.div(self.ranks, rounding_mode="floor"), -1)

    def reset(self) -> None:
        """Forget every entry."""
        self._enqueued = 0
        self.shard.reset()

    @torch.no_grad()
    def enqueue(self, embeddings: Tensor, labels: Tensor, ids: Tensor | None = None) -> Tensor:
        """Store this rank's rows of a global batch; see ``CrossBatchMemory.enqueue``.

        Args:
            embeddings: (B, D), the same on all ranks; B may exceed M.
            labels: (B,) integers of any dtype, or bool.
            ids: (B,) likewise, optional.

        Returns:
            (B,) int64: the slot of each row in the whole queue; -1 for the first B - M rows of a
            batch larger than M, which are not kept.

        Raises:
            ValueError: as ``CrossBatchMemory.enqueue``.
        """
        batch = self.shard.check(embeddings, labels, ids)
        # On the CPU, where these numbers are: no GPU is waited for.
        slots = (self._enqueued + torch.arange(batch, device="cpu")) % self.size
        local = (slots % self.ranks == self.rank).nonzero().squeeze(1)
        if len(local):
            self.shard.enqueue(
                *(None if x is None else x[local.to(x.device)] for x in (embeddings, labels, ids))  # type: ignore[arg-type]
            )
        slots[: max(batch - self.size, 0)] = -1
        self._enqueued += batch
        return slots.to(self.shard.classes.device)

    def gathered_state(self) -> dict[str, Any]:
        """The whole queue, as the state of a ``CrossBatchMemory`` of M entries on the CPU.

        Every rank has to call it. The first returns the state and can write it, the others {}.
        """
        most = -(-self.size // self.ranks)
        first = 0 if self.group is None else dist.get_global_rank(self.group, 0)
        state: dict[str, Any] = {}
        for name in ("features", "classes", "instances"):
            rows = getattr(self.shard, name)
            rows = torch.cat([rows, rows.new_zeros(most - len(rows), *rows.shape[1:])])
            shards = [torch.empty_like(rows) for _ in range(self.ranks)] if not self.rank else None
            dist.gather(rows, shards, dst=first, group=self.group)
            if shards is not None:
                # Slot s of the queue is slot s div R on rank s mod R.
                state[name] = torch.stack([x.cpu() for x in shards], 1).flatten(0, 1)[: self.size]
        return state | {"_extra_state": torch.tensor(self._enqueued, device="cpu")} if state else {}

    def load_gathered_state(self, state: dict[str, Any]) -> None:
        """Resume from the whole queue's state, of which every rank takes its own slots.

        Raises:
            ValueError: the state of a memory with another M or D, or an incomplete one. The queue
                stays as it was.
        """
        shapes = {"features": (self.size, self.dim), "classes": (self.size,)}
        for name, shape in (shapes | {"instances": (self.size,)}).items():
            if name not in state:
                raise ValueError(f"the state of a memory without {name}: give a gathered_state()")
            if state[name].shape != shape:
                raise ValueError(
                    f"the state of a memory of {tuple(state[name].shape)} {name}: this one is of "
                    f"{shape}; make it of the same size and dim"
                )
        if "_extra_state" not in state:
            raise ValueError("the state of a memory without _extra_state: give a gathered_state()")
        enqueued = count_of(state["_extra_state"])
        turns, rest = divmod(enqueued, self.size)
        local = {
            name: state[name][self.rank :: self.ranks]
            for name in ("features", "classes", "instances")
        }
        count = turns * self.shard.size + self._below(rest)
        self.shard.load_state_dict(local | {"_extra_state": torch.tensor(count, device="cpu")})
        self._enqueued = enqueued

    def get_extra_state(self) -> Tensor:
        """Entries ever enqueued, rank r, R and M, as ``state_dict`` stores them."""
        return torch.tensor([self._enqueued, self.rank, self.ranks, self.size], device="cpu")

    def set_extra_state(self, state: Tensor) -> None:
        """Resume from :meth:`get_extra_state`.

        Raises:
            DistributedError: the state of another rank, or of another number of ranks.
        """
        self._check_place(state)
        self._enqueued = count_of(state[0])

    def check_state(self, state: Mapping[str, Any], prefix: str, strict: bool) -> None:
        """Refuse a state that does not fit, that of the shard included; see ``Ring.check_state``.

        Raises:
            DistributedError: as :meth:`set_extra_state`.
            RuntimeError: another M, D or kind of numbers, or an incomplete state.
            ValueError: a number of entries that is none.
        """
        numbers = state.get(f"{prefix}_extra_state")
        if isinstance(numbers, Tensor) and numbers.shape == (4,):
            self._check_place(numbers)
            count_of(numbers[0])
        check_state(self, state, prefix, strict=strict, whole=True)
        self.shard.check_state(state, f"{prefix}shard.", strict)

    def _check_place(self, state: Tensor) -> None:
        """Refuse the numbers of another rank."""
        _, rank, ranks, size = (int(x) for x in state)
        if (rank, ranks, size) != (self.rank, self.ranks, self.size):
            raise DistributedError(
                f"the state of rank {rank} of {ranks} with size={size}: this is rank {self.rank} "
                f"of {self.ranks} with size={self.size}; for another number of ranks save "
                "gathered_state() and load it with load_gathered_state()"
            )

    def extra_repr(self) -> str:
        """Size, dimension, fill and rank for ``repr``."""
        return (
            f"size={self.size}, dim={self.dim}, held={len(self)}, rank={self.rank} of {self.ranks}"
        )


def _sent(number: int) -> int:
    """A number as other ranks receive it; -1 for what is none, which every rank then refuses."""
    try:
        return whole_number("", number, 0)
    except ValueError:
        return -1
