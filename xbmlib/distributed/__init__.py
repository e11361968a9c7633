"""Cross-batch memory over many processes, one a GPU: equal to one process on the whole batch.

A loop of one's own, under ``torchrun``::

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

Every rank computes the loss of the *global* batch, so that parameters' gradients are summed over
the ranks, not averaged; :func:`backward` does what is right, with ``DistributedDataParallel`` too.
"""

from xbmlib.distributed.batch import GlobalBatch, gather
from xbmlib.distributed.gradients import backward, same_start
from xbmlib.distributed.group import DistributedError, gather_rows, rank_and_size, share, start
from xbmlib.distributed.loss import memory_loss
from xbmlib.distributed.memory import ShardedMemory
from xbmlib.distributed.norm import GlobalBatchNorm, sync_batch_norm

__all__ = [
    "DistributedError",
    "GlobalBatch",
    "GlobalBatchNorm",
    "ShardedMemory",
    "backward",
    "gather",
    "gather_rows",
    "memory_loss",
    "rank_and_size",
    "same_start",
    "share",
    "start",
    "sync_batch_norm",
]
