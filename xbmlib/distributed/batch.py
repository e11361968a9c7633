"""The batch of all ranks together."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from xbmlib.distributed.group import (
    DTYPES,
    DistributedError,
    Group,
    agree,
    code,
    decoded,
    gather_rows,
    rank_and_size,
    tell,
)


class GlobalBatch(NamedTuple):
    """The rows of every rank, in the order of the ranks; the same on all of them.

    Attributes:
        embeddings: (m, D), with gradient to our own rows.
        labels: (m,) int64.
        ids: (m,) int64; None where none were given.
        own: the rows that are ours.
    """

    embeddings: Tensor
    labels: Tensor
    ids: Tensor | None
    own: slice


def gather(
    embeddings: Tensor, labels: Tensor, ids: Tensor | None = None, group: Group = None
) -> GlobalBatch:
    """Gather a batch across ranks, each of which has its share: of any size, 0 included.

    The gradient: every rank computes the same loss of the global batch, so what a rank finds for
    its own rows is already all of it, and going backward each takes these rows' slice. What
    follows for the parameters is a *sum* over ranks: see :func:`xbmlib.distributed.backward`.

    Args:
        embeddings: (m_r, D) of this rank, with gradient; of one D and dtype on all ranks.
        labels: (m_r,) integers.
        ids: (m_r,) integers that name the instances; on all ranks or on none.
        group: of the processes; all of them by default.

    Raises:
        ValueError: shapes or types that cannot be, on the rank that was given them.
        DistributedError: on every rank, where they do not fit together or one was refused.
    """
    rank, _ = rank_and_size(group)
    fault = _fault(embeddings, labels, ids)
    facts = (
        [1, 0, 0, 0, 0]
        if fault
        else [0, *embeddings.shape, code(embeddings.dtype), ids is not None]
    )
    faulty, rows, dims, dtypes, with_ids = zip(*tell(facts, group), strict=True)
    if fault:
        raise ValueError(fault)
    if any(faulty):
        raise DistributedError(
            f"rank {faulty.index(1)} was given a batch that cannot be: see its own error"
        )
    remedy = "give all ranks the same"
    agree("D of the embeddings", dims, remedy)
    agree("dtype of the embeddings", decoded(dtypes), remedy)
    agree("ids given (1) or not (0)", with_ids, remedy)
    named = [labels] if ids is None else [labels, ids]
    integers = torch.stack([x.to(embeddings.device, torch.int64) for x in named], 1)
    integers = gather_rows(integers, rows, group)
    first = sum(rows[:rank])
    return GlobalBatch(
        _Gather.apply(embeddings, rows, rank, group),
        integers[:, 0].contiguous(),
        None if ids is None else integers[:, 1].contiguous(),
        slice(first, first + rows[rank]),
    )


def _fault(embeddings: Tensor, labels: Tensor, ids: Tensor | None) -> str:
    """What is wrong with a share of a batch; nothing where it can be gathered."""
    if embeddings.ndim != 2 or embeddings.dtype not in DTYPES:
        return (
            f"embeddings of shape {tuple(embeddings.shape)} and {embeddings.dtype}: give (m, D) of "
            f"{', '.join(map(str, DTYPES))}"
        )
    for name, value in (("labels", labels), ("ids", ids)):
        if value is None:
            continue
        if value.shape != embeddings.shape[:1] or value.is_floating_point():
            return (
                f"{name} of shape {tuple(value.shape)} and {value.dtype}: give an integer for each "
                f"of {len(embeddings)} embeddings"
            )
    return ""


class _Gather(torch.autograd.Function):
    """Forward, the rows of all ranks; backward, the slice of our own."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: tuple[int, ...], rank: int, group: Group) -> Tensor:
        first = sum(counts[:rank])
        ctx.own = slice(first, first + counts[rank])
        return gather_rows(rows, counts, group)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad[ctx.own], None, None, None
