"""The checked arguments of a loss: what its anchors are compared with."""

from __future__ import annotations

import inspect
import sys
import warnings
from typing import NamedTuple

import torch
from torch import Tensor, nn

from xbmlib.integers import as_labels, as_slots
from xbmlib.losses.exchange import Exchange
from xbmlib.queue import CrossBatchMemory, Shadow

# How far a norm may be from 1: bfloat16 rounds each number by at most 2^-8 of it.
UNIT = 1e-2


class References(NamedTuple):
    """The other side of the pairs: the memory's entries, or the mini-batch itself.

    Attributes:
        memory: (M, D) without gradient; None for the mini-batch, of which M = m.
        labels: (M,) int64.
        own: (m,) int64, slot of each anchor's own entry, -1 for none; None where no anchor has one.
        shadow: see :class:`xbmlib.queue.Shadow`.
        exchange: with other processes, if they hold a part of the entries or anchors.
    """

    memory: Tensor | None
    labels: Tensor
    own: Tensor | None
    shadow: Shadow | None
    exchange: Exchange = Exchange()


def references(
    anchors: Tensor,
    labels: Tensor,
    memory: Tensor | CrossBatchMemory | None = None,
    memory_labels: Tensor | None = None,
    own: Tensor | None = None,
    shadow: tuple[Tensor, Tensor] | None = None,
) -> References:
    """Check the arguments of a loss; within the batch, each anchor's own entry is itself.

    Raises:
        ValueError: as :meth:`xbmlib.losses.PairLoss.forward`.
    """
    if isinstance(memory, CrossBatchMemory):
        if memory_labels is not None or shadow is not None:
            raise ValueError(
                "memory_labels and shadow beside a queue: leave them out, the queue provides both"
            )
        memory_labels, shadow = memory.labels, memory.shadow
        memory = memory.embeddings
    if not isinstance(memory, Tensor | None):
        raise ValueError(
            f"memory of type {type(memory).__name__}: give a CrossBatchMemory, or embeddings "
            "(M, D) with memory_labels (M,); a ShardedMemory goes to "
            "xbmlib.distributed.memory_loss"
        )
    named = {"anchors": anchors, "labels": labels, "memory_labels": memory_labels, "own": own}
    for name, value in named.items():
        if not isinstance(value, Tensor if name in ("anchors", "labels") else Tensor | None):
            raise ValueError(f"{name} of type {type(value).__name__}: give a tensor")
    if anchors.ndim != 2 or labels.shape != anchors.shape[:1]:
        raise ValueError(
            f"anchors {tuple(anchors.shape)} with labels {tuple(labels.shape)}: "
            "give (m, D) and (m,)"
        )
    for name, value in (("anchors", anchors), ("memory", memory)):
        if value is not None and not value.is_floating_point():
            raise ValueError(f"{name} of {value.dtype}: give floating point")
    labels = as_labels("labels", labels)
    if memory is None:
        if memory_labels is not None or own is not None or shadow is not None:
            raise ValueError("memory_labels, own and shadow come with memory: give it too")
        return References(None, labels, torch.arange(len(labels), device=anchors.device), None)
    if memory_labels is None or memory.ndim != 2 or memory.shape[1] != anchors.shape[1]:
        raise ValueError(
            f"memory {tuple(memory.shape)} for anchors {tuple(anchors.shape)}: "
            "give (M, D) of the same D, and memory_labels (M,)"
        )
    if memory_labels.shape != memory.shape[:1]:
        raise ValueError(
            f"memory_labels {tuple(memory_labels.shape)}: give one for each of "
            f"{len(memory)} entries"
        )
    if shadow is not None and not (
        isinstance(shadow, tuple)
        and len(shadow) == 2
        and all(isinstance(part, Tensor) for part in shadow)
        and shadow[1].ndim == 0
    ):
        raise ValueError(
            f"shadow of type {type(shadow).__name__}: give a pair of the (M, D) bfloat16 copy and "
            "a norm that no entry exceeds, as xbmlib.queue.Shadow"
        )
    if shadow is not None and (
        shadow[0].shape != memory.shape or shadow[0].dtype != torch.bfloat16
    ):
        raise ValueError(
            f"shadow {tuple(shadow[0].shape)} of {shadow[0].dtype}: give the bfloat16 copy of "
            f"the memory {tuple(memory.shape)}"
        )
    return References(
        memory.detach(),
        as_labels("memory_labels", memory_labels),
        None if own is None else own_slots(own, len(labels), len(memory)),
        Shadow(*shadow) if shadow else None,
    )


def own_slots(own: Tensor, m: int, size: int) -> Tensor:
    """The anchors' own slots (m,) in int64, after a check.

    Args:
        own: a slot for each anchor, -1 for none.
        m: number of anchors.
        size: M, entries of the memory.

    Raises:
        ValueError: as :meth:`xbmlib.losses.PairLoss.forward`.
    """
    if own.shape != (m,):
        raise ValueError(f"own {tuple(own.shape)}: give a slot for each of {m} anchors")
    own = as_slots("own", own)
    # On a GPU the check would wait for its answer; there, such a slot matches no entry.
    if own.numel() and not own.is_cuda and not (int(own.min()) >= -1 and int(own.max()) < size):
        raise ValueError(
            f"own from {int(own.min())} to {int(own.max())}: give slots of a memory of "
            f"{size} entries, or -1 for an anchor with no entry there"
        )
    return own


def check_call(loss: nn.Module) -> None:
    """Check that a loss is called as :meth:`xbmlib.losses.PairLoss.forward` is.

    Raises:
        ValueError: not a module, or one that takes other arguments.

    Example:
        >>> from torch import nn
        >>> from xbmlib import ContrastiveLoss
        >>> check_call(ContrastiveLoss())
        >>> check_call(nn.MSELoss())
        Traceback (most recent call last):
        ValueError: MSELoss is not called as a PairLoss (got an unexpected keyword argument ...
    """
    if not isinstance(loss, nn.Module):
        raise ValueError(f"loss of type {type(loss).__name__}: give a torch.nn.Module")
    try:
        inspect.signature(loss.forward).bind(
            "anchors", "labels", memory=0, memory_labels=0, own=0, shadow=0
        )
    except TypeError as error:
        raise ValueError(
            f"{type(loss).__name__} is not called as a PairLoss ({error}): make it one, or put a "
            "loss of pytorch-metric-learning into MetricLearningLoss"
        ) from None


def warn_unless_unit(anchors: Tensor) -> None:
    """Warn of anchors (m, D) whose norm is not 1; not on a GPU, which would have to wait.

    Warns:
        UserWarning: the range of the norms, and the remedy.
    """
    if anchors.device.type != "cpu" or not anchors.numel():
        return
    norms = torch.linalg.vector_norm(anchors.detach(), dim=1, dtype=torch.float64)
    norms = norms[~norms.isnan()]
    if not len(norms):
        return
    low, high = (float(x) for x in norms.aminmax())
    if low < 1 - UNIT or high > 1 + UNIT:
        warnings.warn(
            f"anchors of norm {low:.3g} to {high:.3g}: λ and the margins are those of embeddings "
            "of norm 1; scale them with torch.nn.functional.normalize",
            stacklevel=_callers_level(),
        )


def _callers_level() -> int:
    """The stack level, for who calls this, of the first frame that is not of xbmlib or torch."""
    level, frame = 0, sys._getframe()
    while frame.f_globals.get("__name__", "").partition(".")[0] in ("xbmlib", "torch"):
        if frame.f_back is None:
            break
        level, frame = level + 1, frame.f_back
    return level
