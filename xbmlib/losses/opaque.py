"""A loss as one operator of a compiled graph.

What is weighed follows from the similarities, so a compiler that looked into the loss would break
its graph at each answer it has to wait for. Seen as one operator, the loss is computed in a
compiled graph as it is outside, to the last bit, and its shapes do not depend on how many entries
the memory holds.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xbmlib.integers import as_labels
from xbmlib.losses.inputs import references
from xbmlib.losses.second import refuse_second_derivatives
from xbmlib.queue import CrossBatchMemory
from xbmlib.registry import registered


def opaque_loss(
    number: int,
    anchors: Tensor,
    labels: Tensor,
    memory: Tensor | CrossBatchMemory | None,
    memory_labels: Tensor | None,
    own: Tensor | None,
    shadow: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Value, and valid negatives and positives (m,), of the registered loss of that number.

    Args:
        number: of the loss.
        anchors, labels, memory, memory_labels, own, shadow: as for the loss.

    Raises:
        ValueError: as the loss, when the graph is run.
    """
    held: Tensor | None = None
    copies, norm = shadow or (None, None)
    if isinstance(memory, CrossBatchMemory):
        if memory_labels is not None or shadow is not None:
            references(anchors, labels, memory, memory_labels, own, shadow)
        # All slots: the number of those held is a tensor, so that no shape changes as it grows.
        held, memory_labels, copies = memory._count, memory.classes, memory.shadow_features
        norm = None if memory.norms is None else memory.norms.max()
        memory = memory.features
    value, _, negatives, positives = _pair_loss(
        anchors, labels, memory, memory_labels, own, copies, norm, held, number
    )
    return value, negatives, positives


@torch.library.custom_op(
    "xbmlib::pair_loss",
    mutates_args=(),
    schema="(Tensor anchors, Tensor labels, Tensor? memory, Tensor? memory_labels, Tensor? own, "
    "Tensor? copies, Tensor? norm, Tensor? held, int number) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _pair_loss(
    anchors: Tensor,
    labels: Tensor,
    memory: Tensor | None,
    memory_labels: Tensor | None,
    own: Tensor | None,
    copies: Tensor | None,
    norm: Tensor | None,
    held: Tensor | None,
    number: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    loss: Any = registered(number)
    if held is not None and memory is not None and memory_labels is not None:
        n = min(int(held), len(memory))
        memory, memory_labels = memory[:n], memory_labels[:n]
        copies = None if copies is None else copies[:n]
    shadow = None if copies is None or norm is None else (copies, norm)
    refs = references(anchors, labels, memory, memory_labels, own, shadow)
    value, grad, valid = loss.sums(anchors, as_labels("labels", labels), refs)
    return value, grad, valid.negatives, valid.positives


@_pair_loss.register_fake
def _(anchors: Tensor, labels: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dtype = torch.promote_types(anchors.dtype, torch.float32)
    counts = [torch.empty_like(labels, dtype=torch.int64) for _ in range(2)]
    grad = torch.empty_like(anchors, dtype=dtype, memory_format=torch.contiguous_format)
    return anchors.new_empty((), dtype=dtype), grad, counts[0], counts[1]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(output[1])
    ctx.dtype = inputs[0].dtype


def _backward(ctx: Any, grad_value: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    refuse_second_derivatives("a pair loss")
    (grad,) = ctx.saved_tensors
    return (grad * grad_value).to(ctx.dtype), *8 * (None,)


_pair_loss.register_autograd(_backward, setup_context=_keep)
