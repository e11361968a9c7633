"""The processes among which a run is divided: one, or those that torchrun started.

The trainer asks :func:`ranks_of_run` and is written once. Its numbers do not depend on how many
there are, to the rounding of sums that are taken in another order.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from xbmlib import distributed
from xbmlib.datasets import Images
from xbmlib.distributed import DistributedError, GlobalBatch, ShardedMemory
from xbmlib.distributed.group import tell
from xbmlib.losses import PairLoss
from xbmlib.queue import CrossBatchMemory

Memory = CrossBatchMemory | ShardedMemory


class Ranks:
    """One process, which does everything.

    Attributes:
        first: whether this one writes the run's files.
    """

    first = True

    def share(self, n: int) -> slice:
        """Which of n rows this process takes."""
        return slice(0, n)

    def part(self, images: Images) -> Images:
        """The images that this process takes."""
        return images

    def whole(self, rows: Tensor, n: int) -> Tensor:
        """The n rows that the shares of all processes make up, in their order."""
        return rows

    def told(self, answer: bool) -> bool:
        """The first process's answer; the others wait for it."""
        return answer

    def model(self, model: nn.Module) -> Any:
        """The model, batch normalisation made one of the whole batch."""
        return model

    def memory(self, sharded: bool) -> type[Memory]:
        """What kind of memory to make."""
        return CrossBatchMemory

    def gather(self, v: Tensor, labels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Any]:
        """Embeddings, labels and ids of the whole batch."""
        return v, labels, ids

    def memory_loss(
        self, loss: nn.Module, v: Tensor, labels: Tensor, memory: Memory, own: Tensor
    ) -> Tensor:
        """The loss of the whole batch against the memory."""
        assert isinstance(memory, CrossBatchMemory)
        value: Tensor = loss(
            v, labels, memory.embeddings, memory.labels, own=own, shadow=memory.shadow
        )
        return value

    def check_alone(self, what: str) -> None:
        """Refuse what one process can do and several cannot."""

    def backward(self, total: Tensor, model: nn.Module) -> None:
        """Gradients of the whole batch's loss."""
        total.backward()

    def memory_state(self, memory: Memory) -> dict[str, Any]:
        """The whole memory, for a checkpoint that the first process writes."""
        return memory.state_dict()

    def load_memory(self, memory: Memory, state: dict[str, Any]) -> None:
        """Go on with what :meth:`memory_state` gave."""
        memory.load_state_dict(state)


class ManyRanks(Ranks):
    """The processes of torch's default group, each with its share of every batch."""

    def __init__(self) -> None:
        self.rank, self.size = distributed.rank_and_size()
        self.first = self.rank == 0

    def share(self, n: int) -> slice:
        """See :meth:`Ranks.share`."""
        return distributed.share(n, self.rank, self.size)

    def part(self, images: Images) -> Images:
        """See :meth:`Ranks.part`."""
        return images.select(torch.arange(len(images))[self.share(len(images))])

    def whole(self, rows: Tensor, n: int) -> Tensor:
        """See :meth:`Ranks.whole`."""
        shares = [distributed.share(n, rank, self.size) for rank in range(self.size)]
        return distributed.gather_rows(rows, [s.stop - s.start for s in shares])

    def told(self, answer: bool) -> bool:
        """See :meth:`Ranks.told`."""
        return bool(tell([answer])[0][0])

    def model(self, model: nn.Module) -> Any:
        """See :meth:`Ranks.model`."""
        return distributed.sync_batch_norm(model)

    def memory(self, sharded: bool) -> type[Memory]:
        """See :meth:`Ranks.memory`."""
        return ShardedMemory if sharded else CrossBatchMemory

    def gather(self, v: Tensor, labels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Any]:
        """See :meth:`Ranks.gather`."""
        return distributed.gather(v, labels, ids)[:3]

    def memory_loss(
        self, loss: nn.Module, v: Tensor, labels: Tensor, memory: Memory, own: Tensor
    ) -> Tensor:
        """See :meth:`Ranks.memory_loss`."""
        assert isinstance(loss, PairLoss)
        batch = GlobalBatch(v, labels, None, self.share(len(v)))
        return distributed.memory_loss(loss, batch, memory, own)

    def check_alone(self, what: str) -> None:
        """See :meth:`Ranks.check_alone`."""
        raise DistributedError(
            f"{what} with {self.size} processes: only a run in one process can have it"
        )

    def backward(self, total: Tensor, model: nn.Module) -> None:
        """See :meth:`Ranks.backward`."""
        distributed.backward(total, model)

    def memory_state(self, memory: Memory) -> dict[str, Any]:
        """See :meth:`Ranks.memory_state`; all have to call it."""
        if isinstance(memory, ShardedMemory):
            return memory.gathered_state()
        return memory.state_dict()

    def load_memory(self, memory: Memory, state: dict[str, Any]) -> None:
        """See :meth:`Ranks.load_memory`."""
        if isinstance(memory, ShardedMemory):
            memory.load_gathered_state(state)
        else:
            memory.load_state_dict(state)


def ranks_of_run() -> Ranks:
    """The processes of torch's default group, where one has been joined; else this one alone."""
    joined = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    return ManyRanks() if joined else Ranks()
