"""Cross-batch memory over several processes, one per GPU: equal to one with the whole batch.

A custom loop, under ``torchrun``::

    distributed.start()
    model = distributed.sync_batch_norm(model)
    memory = distributed.ShardedMemory(M, D)        # or a CrossBatchMemory(M, D) on every rank
    for images, labels, ids in batches:             # this rank's share
        batch = distributed.gather(model(images), labels, ids)
        own = memory.enqueue(batch.embeddings, batch.labels, batch.ids)
        total = loss(batch.embeddings, batch.labels)
        total = total + distributed.memory_loss(loss, batch, memory, own)
        optimiser.zero_grad()
        distributed.backward(total, model)          # not total.backward()
        optimiser.step()

Every rank computes the loss of the *global* batch, so the parameters' gradients have to be summed
over the ranks, not averaged: :func:`backward` does so, with ``DistributedDataParallel`` too.
"""

from xbmlib.distributed.batch import GlobalBatch, gather
from xbmlib.distributed.gradients import backward, broadcast_parameters
from xbmlib.distributed.group import DistributedError, all_gather_rows, rank_and_size, share, start
from xbmlib.distributed.loss import memory_loss
from xbmlib.distributed.memory import ShardedMemory
from xbmlib.distributed.norm import GlobalBatchNorm, sync_batch_norm

__all__ = [
    "DistributedError",
    "GlobalBatch",
    "GlobalBatchNorm",
    "ShardedMemory",
    "all_gather_rows",
    "backward",
    "broadcast_parameters",
    "gather",
    "memory_loss",
    "rank_and_size",
    "share",
    "start",
    "sync_batch_norm",
]
