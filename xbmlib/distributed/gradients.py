"""From the loss of the global batch to the gradient of the parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from xbmlib.distributed.group import Group, agree, all_gather_ints, rank_and_size

# Elements of the gradients that are summed in one exchange: 32 MiB of float32.
BUCKET = 1 << 23


def backward(loss: Tensor, model: nn.Module, group: Group = None) -> None:
    """``loss.backward()`` for a loss that every rank has computed on the global batch.

    A rank's backward pass starts from its own rows of the embeddings, so the parameters'
    gradients have to be *summed* over the ranks; the sum is the gradient that one process with
    the whole batch has. It is added to ``.grad``, as ``loss.backward()`` does.

    ``DistributedDataParallel`` averages gradients, whatever the shares; for such a model the loss
    is multiplied by the number of ranks R. A plain ``loss.backward()`` has to do the same, or the
    gradients are R times too small.

    Args:
        loss: scalar, the same on all ranks.
        model: holds every trained parameter that the loss depends on.
        group: of the processes; all of them by default.

    Raises:
        DistributedError: no process group, or models that differ in their parameters.
    """
    _, ranks = rank_and_size(group)
    if isinstance(model, DistributedDataParallel):
        (loss * ranks).backward()
        return
    parameters = [p for p in model.parameters() if p.requires_grad]
    counts = [count for (count,) in all_gather_ints([len(parameters)], group)]
    agree("parameters that need a gradient", counts, "build the same model on all ranks")
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    used = loss.new_tensor([g is not None for g in found], dtype=torch.int32)
    dist.all_reduce(used, dist.ReduceOp.MAX, group=group)
    # A rank without rows has no gradient where others do.
    gradients = [
        (p, torch.zeros_like(p) if g is None else g)
        for p, g, there in zip(parameters, found, used.tolist(), strict=True)
        if there
    ]
    for bucket in _buckets(gradients):
        flat = torch.cat([g.reshape(-1) for _, g in bucket])
        dist.all_reduce(flat, group=group)
        for (p, g), part in zip(bucket, flat.split([g.numel() for _, g in bucket]), strict=True):
            # In the parameter's memory format, which optimisers rely on.
            total = torch.empty_like(p).copy_(part.view_as(g))
            p.grad = total if p.grad is None else p.grad + total


def _buckets(gradients: Iterable[tuple[Tensor, Tensor]]) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Consecutive gradients of one dtype, about BUCKET elements at a time."""
    bucket: list[tuple[Tensor, Tensor]] = []
    elements = 0
    for p, g in gradients:
        if bucket and (g.dtype != bucket[0][1].dtype or elements + g.numel() > BUCKET):
            yield bucket
            bucket, elements = [], 0
        bucket.append((p, g))
        elements += g.numel()
    if bucket:
        yield bucket


def broadcast_parameters(model: nn.Module, group: Group = None) -> None:
    """Broadcast the parameters and buffers of the first rank to all others.

    Args:
        model: of the same shapes on all ranks.
        group: of the processes; all of them by default.
    """
    rank_and_size(group)
    first = 0 if group is None else dist.get_global_rank(group, 0)
    for tensor in (*model.parameters(), *model.buffers()):
        value = tensor.detach().contiguous()
        dist.broadcast(value, first, group=group)
        tensor.detach().copy_(value)
