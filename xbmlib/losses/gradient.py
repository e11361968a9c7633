"""The gradient of Eq. 5 from the weights of pairs: products of the weights with the entries.

Called without autocast, which would round them.
"""

from __future__ import annotations

from torch import Tensor

from xbmlib.losses.candidates import TILE_ENTRIES


def add_gradient(
    grad: Tensor,
    rows: slice,
    signed: Tensor,
    columns: Tensor,
    anchors: Tensor,
    memory: Tensor | None,
) -> None:
    """Add sum_j ±w_ij v_j to the gradient; within the batch, to both sides of a pair.

    Args:
        grad: (all anchors, D).
        rows: the slice of m of them.
        signed: (m, C + P) ±w_ij.
        columns: (C + P,) slots.
        anchors: (all anchors, D).
        memory: (M, D), None within the batch.
    """
    entries = anchors if memory is None else memory
    # Few pairs are valid: only their entries take part in the product.
    used = signed.any(0).nonzero().squeeze(1)
    for part in used.split(TILE_ENTRIES):
        weights, slots = signed.index_select(1, part), columns[part]  # (m, n), (n,)
        grad[rows].addmm_(weights, entries.index_select(0, slots).to(grad.dtype))
        if memory is None:
            grad.index_add_(0, slots, weights.T @ anchors[rows].to(grad.dtype))


def add_dense_gradient(
    grad: Tensor, rows: slice, signed: Tensor, anchors: Tensor, memory: Tensor | None
) -> None:
    """:func:`add_gradient` of a dense block: ``signed`` (m, M) has a column of every entry."""
    entries = anchors if memory is None else memory
    tiles = entries.split(4 * TILE_ENTRIES)  # (n, D) each
    for weights, tile in zip(signed.split(4 * TILE_ENTRIES, 1), tiles, strict=True):
        grad[rows].addmm_(weights, tile.to(grad.dtype))
    if memory is None:
        grad.addmm_(signed.T, anchors[rows].to(grad.dtype))
