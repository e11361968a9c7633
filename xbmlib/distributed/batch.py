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
    all_gather_ints,
    all_gather_rows,
    code,
    decoded,
    rank_and_size,
)
from xbmlib.integers import as_labels
from xbmlib.losses.second import refuse_second_derivatives


class GlobalBatch(NamedTuple):
    """The rows of every rank, in the order of the ranks; equal on all of them.

    Attributes:
        embeddings: (m, D), with gradient to this rank's own rows.
        labels: (m,) int64.
        ids: (m,) int64; None where none were given.
        share: the rows of this rank.
    """

    embeddings: Tensor
    labels: Tensor
    ids: Tensor | None
    share: slice


def gather(
    embeddings: Tensor, labels: Tensor, ids: Tensor | None = None, group: Group = None
) -> GlobalBatch:
    """All-gather a batch of which each rank has a share: of any size, 0 included.

    Gradient: every rank computes the same loss of the global batch, so the gradient at a rank's
    own rows is already complete there, and the backward pass takes the slice of these rows. The
    gradient of the parameters is then a *sum* over ranks: see
    :func:`xbmlib.distributed.backward`. It has no second derivatives: ``create_graph=True`` is
    refused.

    Args:
        embeddings: (m_r, D) of this rank, with gradient; of one D and dtype on all ranks.
        labels: (m_r,) integers of any dtype, or bool.
        ids: (m_r,) likewise, that identify the instances; on all ranks or on none.
        group: of the processes; all of them by default.

    Raises:
        ValueError: invalid shapes or types, on the rank that passed them.
        DistributedError: on every rank, if the shares do not fit together or one was refused.
    """
    rank, _ = rank_and_size(group)
    fault = _fault(embeddings, labels, ids)
    facts = (
        [1, 0, 0, 0, 0]
        if fault
        else [0, *embeddings.shape, code(embeddings.dtype), ids is not None]
    )
    faulty, rows, dims, dtypes, with_ids = zip(*all_gather_ints(facts, group), strict=True)
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
    columns = [as_labels("labels or ids", x).to(embeddings.device) for x in named]
    integers = torch.stack(columns, 1)
    integers = all_gather_rows(integers, rows, group)
    first = sum(rows[:rank])
    return GlobalBatch(
        _Gather.apply(embeddings, rows, rank, group),
        integers[:, 0].contiguous(),
        None if ids is None else integers[:, 1].contiguous(),
        slice(first, first + rows[rank]),
    )


def _fault(embeddings: Tensor, labels: Tensor, ids: Tensor | None) -> str:
    """What is wrong with a share of a batch; empty if it can be gathered."""
    if embeddings.ndim != 2 or embeddings.dtype not in DTYPES:
        return (
            f"embeddings of shape {tuple(embeddings.shape)} and {embeddings.dtype}: give (m, D) of "
            f"{', '.join(map(str, DTYPES))}"
        )
    for name, value in (("labels", labels), ("ids", ids)):
        if value is None:
            continue
        try:
            as_labels(name, value)
        except ValueError as error:
            return str(error)
        if value.shape != embeddings.shape[:1]:
            return (
                f"{name} of shape {tuple(value.shape)}: give an integer for each of "
                f"{len(embeddings)} embeddings"
            )
    return ""


class _Gather(torch.autograd.Function):
    """Forward, the rows of all ranks; backward, the slice of this rank's."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: tuple[int, ...], rank: int, group: Group) -> Tensor:
        first = sum(counts[:rank])
        ctx.share = slice(first, first + counts[rank])
        return all_gather_rows(rows, counts, group)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives("a global batch")
        return grad[ctx.share], None, None, None
