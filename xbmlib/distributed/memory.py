"""A cross-batch memory of which every rank holds a part."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from xbmlib.distributed.group import (
    DistributedError,
    Group,
    agree,
    code,
    decoded,
    rank_and_size,
    tell,
)
from xbmlib.queue import CrossBatchMemory, Ring


class ShardedMemory(Ring):
    """The queue of :class:`xbmlib.queue.CrossBatchMemory`, divided over R ranks.

    Slot s of the queue lives on rank s mod R, there in place s div R: so the shards fill evenly,
    together they are the queue of one process at every step, and what is written to a shard is
    itself a queue. Each holds about M/R entries. All ranks enqueue the same global batch
    (:func:`xbmlib.distributed.gather`); the loss is :func:`xbmlib.distributed.memory_loss`.

    ``state_dict()`` is a rank's own and resumes on as many ranks. :meth:`gathered_state` is the
    whole queue's, which any number of ranks, or a ``CrossBatchMemory``, can go on with.

    Args:
        size: M, entries on all ranks together (at least R).
        dim: D.
        dtype: of the stored embeddings.
        device: where this rank's entries live.
        shadow: see ``CrossBatchMemory``.
        group: of the processes; all of them by default.

    Attributes:
        shard: this rank's entries.

    Raises:
        ValueError: M below R, or what ``CrossBatchMemory`` refuses.
        DistributedError: no process group, or arguments that differ between ranks.
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
        super().__init__(size)
        self.rank, self.ranks = rank_and_size(group)
        sizes, dims, dtypes = zip(*tell([size, dim, code(dtype)], group), strict=True)
        remedy = "make the memory alike on all ranks"
        agree("size of the memory", sizes, remedy)
        agree("dim of the memory", dims, remedy)
        agree("dtype of the memory", decoded(dtypes), remedy)
        if size < self.ranks:
            raise ValueError(
                f"size={size}: a memory over {self.ranks} ranks needs at least one entry on each"
            )
        self.dim, self.group = dim, group
        self.shard = CrossBatchMemory(
            self._below(size), dim, dtype=dtype, device=device, shadow=shadow
        )

    def _below(self, slot: int) -> int:
        """How many of the slots below this one are ours."""
        return len(range(self.rank, slot, self.ranks))

    @property
    def slots(self) -> Tensor:
        """(n,) int64: slot in the whole queue of each entry of :attr:`shard`, ascending."""
        device = self.shard.classes.device
        return self.rank + self.ranks * torch.arange(len(self.shard), device=device)

    @property
    def age(self) -> Tensor:
        """(n,) int64: entries enqueued, on whichever rank, since each entry of :attr:`shard`."""
        return (self._enqueued - 1 - self.slots) % self.size

    def own(self, slots: Tensor) -> Tensor:
        """Slots of the whole queue to places in :attr:`shard`, -1 for those that lie elsewhere."""
        ours = (slots >= 0) & (slots % self.ranks == self.rank)
        return torch.where(ours, slots.div(self.ranks, rounding_mode="floor"), -1)

    def reset(self) -> None:
        """Forget every entry."""
        self._enqueued = 0
        self.shard.reset()

    @torch.no_grad()
    def enqueue(self, embeddings: Tensor, labels: Tensor, ids: Tensor | None = None) -> Tensor:
        """Store what is this rank's of a global batch; see ``CrossBatchMemory.enqueue``.

        Args:
            embeddings: (B, D), the same on all ranks; B may exceed M.
            labels: (B,).
            ids: (B,), optional.

        Returns:
            (B,) int64: the slot of each row in the whole queue; -1 for those that a batch of more
            than M does not keep.

        Raises:
            ValueError: as ``CrossBatchMemory.enqueue``.
        """
        batch = self.shard.check(embeddings, labels, ids)
        # On the CPU: which rows are ours follows from numbers that are there.
        slots = (self._enqueued + torch.arange(batch)) % self.size
        mine = (slots % self.ranks == self.rank).nonzero().squeeze(1)
        if len(mine):
            self.shard.enqueue(
                *(None if x is None else x[mine.to(x.device)] for x in (embeddings, labels, ids))  # type: ignore[arg-type]
            )
        slots[: max(batch - self.size, 0)] = -1
        self._enqueued += batch
        return slots.to(self.shard.classes.device)

    def gathered_state(self) -> dict[str, Any]:
        """The whole queue, as the state of a ``CrossBatchMemory`` of M entries on the CPU.

        All ranks have to call it. The first gets the state and can write it, the others get {}.
        """
        most = -(-self.size // self.ranks)
        first = 0 if self.group is None else dist.get_global_rank(self.group, 0)
        state: dict[str, Any] = {}
        for name in ("features", "classes", "instances"):
            part = getattr(self.shard, name)
            part = torch.cat([part, part.new_zeros(most - len(part), *part.shape[1:])])
            into = [torch.empty_like(part) for _ in range(self.ranks)] if not self.rank else None
            dist.gather(part, into, dst=first, group=self.group)
            if into is not None:
                # Slot s is in place s div R of rank s mod R.
                state[name] = torch.stack([x.cpu() for x in into], 1).flatten(0, 1)[: self.size]
        return state | {"_extra_state": torch.tensor(self._enqueued)} if state else {}

    def load_gathered_state(self, state: dict[str, Any]) -> None:
        """Go on with a whole queue's state: every rank reads it and takes its own slots.

        Raises:
            ValueError: the state of a memory of another M or D.
        """
        if state["features"].shape != (self.size, self.dim):
            raise ValueError(
                f"the state of a memory of {tuple(state['features'].shape)}: this one is of "
                f"{(self.size, self.dim)}; make it of the same size and dim"
            )
        self._enqueued = int(state["_extra_state"])
        turns, rest = divmod(self._enqueued, self.size)
        mine = {
            name: state[name][self.rank :: self.ranks]
            for name in ("features", "classes", "instances")
        }
        count = turns * self.shard.size + self._below(rest)
        self.shard.load_state_dict(mine | {"_extra_state": torch.tensor(count)})

    def get_extra_state(self) -> Tensor:
        """Entries ever enqueued, and what the rank's part is of, as ``state_dict`` stores them."""
        return torch.tensor([self._enqueued, self.rank, self.ranks, self.size])

    def set_extra_state(self, state: Tensor) -> None:
        """Take back what :meth:`get_extra_state` gave.

        Raises:
            DistributedError: it is of another rank, or of another number of ranks.
        """
        enqueued, rank, ranks, size = (int(x) for x in state)
        if (rank, ranks, size) != (self.rank, self.ranks, self.size):
            raise DistributedError(
                f"the state of rank {rank} of {ranks} with size={size}: this is rank {self.rank} "
                f"of {self.ranks} with size={self.size}; for another number of ranks save "
                "gathered_state() and load it with load_gathered_state()"
            )
        self._enqueued = enqueued

    def extra_repr(self) -> str:
        """Size, dimension, fill and rank for ``repr``."""
        return (
            f"size={self.size}, dim={self.dim}, held={len(self)}, rank={self.rank} of {self.ranks}"
        )
