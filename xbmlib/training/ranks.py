"""The processes ("ranks") of a run: one, or those that torchrun started.

The trainer calls :func:`ranks_of_run` and is written once. Its numbers do not depend on how many
ranks there are, up to the rounding of sums that are taken in another order.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from xbmlib import distributed
from xbmlib.datasets import Images
from xbmlib.distributed import DistributedError, GlobalBatch, ShardedMemory
from xbmlib.distributed.group import all_gather_ints
from xbmlib.losses import PairLoss
from xbmlib.queue import CrossBatchMemory

Memory = CrossBatchMemory | ShardedMemory


class Ranks:
    """A single process, which does everything.

    Attributes:
        is_main: whether this rank writes the run's files.
    """

    is_main = True

    def share(self, n: int) -> slice:
        """This rank's rows of n."""
        return slice(0, n)

    def shard(self, images: Images) -> Images:
        """This rank's share of a set of images."""
        return images

    def all_gather(self, rows: Tensor, n: int) -> Tensor:
        """The n rows (n, …), in order, of which every rank passes its share."""
        return rows

    def broadcast(self, answer: bool) -> bool:
        """The main rank's answer, for which the others wait."""
        return answer

    def model(self, model: nn.Module) -> nn.Module:
        """The model with its batch normalisation taken over the whole batch."""
        return model

    def memory(self, sharded: bool) -> type[Memory]:
        """The class of the memory."""
        return CrossBatchMemory

    def gather(self, v: Tensor, labels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Any]:
        """Embeddings (m, D) with gradient, labels and ids (m,) of the whole batch."""
        return v, labels, ids

    def memory_loss(
        self, loss: nn.Module, v: Tensor, labels: Tensor, memory: Memory, own: Tensor
    ) -> Tensor:
        """The scalar loss of the whole batch v (m, D), labels (m,) and own (m,) with the memory."""
        assert isinstance(memory, CrossBatchMemory)
        # The form that a custom loss takes as well.
        value: Tensor = loss(
            v, labels, memory.embeddings, memory.labels, own=own, shadow=memory.shadow
        )
        return value

    def require_one_process(self, what: str) -> None:
        """Refuse what works in a single process only."""

    def backward(self, total: Tensor, model: nn.Module) -> None:
        """Gradients of the whole batch's loss."""
        total.backward()

    def memory_state(self, memory: Memory) -> dict[str, Any]:
        """The state of the whole memory, for the checkpoint."""
        return memory.state_dict()

    def load_memory(self, memory: Memory, state: dict[str, Any]) -> None:
        """Resume from :meth:`memory_state`."""
        memory.load_state_dict(state)


class ManyRanks(Ranks):
    """The processes of torch's default group, each with its share of every batch."""

    def __init__(self) -> None:
        self.rank, self.size = distributed.rank_and_size()
        self.is_main = self.rank == 0

    def share(self, n: int) -> slice:
        """See :meth:`Ranks.share`."""
        return distributed.share(n, self.rank, self.size)

    def shard(self, images: Images) -> Images:
        """See :meth:`Ranks.shard`."""
        return images.select(torch.arange(len(images), device="cpu")[self.share(len(images))])

    def all_gather(self, rows: Tensor, n: int) -> Tensor:
        """See :meth:`Ranks.all_gather`."""
        shares = [distributed.share(n, rank, self.size) for rank in range(self.size)]
        return distributed.all_gather_rows(rows, [s.stop - s.start for s in shares])

    def broadcast(self, answer: bool) -> bool:
        """See :meth:`Ranks.broadcast`."""
        return bool(all_gather_ints([answer])[0][0])

    def model(self, model: nn.Module) -> nn.Module:
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

    def require_one_process(self, what: str) -> None:
        """See :meth:`Ranks.require_one_process`.

        Raises:
            DistributedError: always.
        """
        raise DistributedError(
            f"{what} with {self.size} processes: train it in a single process, without torchrun"
        )

    def backward(self, total: Tensor, model: nn.Module) -> None:
        """See :meth:`Ranks.backward`."""
        distributed.backward(total, model)

    def memory_state(self, memory: Memory) -> dict[str, Any]:
        """See :meth:`Ranks.memory_state`; every rank has to call it."""
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
    """The processes of torch's default group where there is one, otherwise this one alone."""
    joined = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    return ManyRanks() if joined else Ranks()
