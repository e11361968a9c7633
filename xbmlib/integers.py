"""One rule for labels and for numbers: every type of them is taken, anything else refused."""

from __future__ import annotations

import operator
from numbers import Real

import torch
from torch import Tensor

_INDICES = (
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)


def as_labels(name: str, value: Tensor) -> Tensor:
    """Labels or ids in int64: of every integer dtype, and bool.

    As labels are only compared, uint64 is taken modulo 2^64: equal labels stay equal, and others
    different.

    Args:
        name: of the argument, for the message.
        value: integers of any shape; int64 comes back as it is.

    Raises:
        ValueError: not a tensor, or of another dtype.

    Example:
        >>> as_labels("labels", torch.tensor([True, False]))
        tensor([1, 0])
    """
    return _as_int64(name, value, (*_INDICES, torch.bool))


def as_slots(name: str, value: Tensor) -> Tensor:
    """Places in a memory or gallery in int64: of every integer dtype; a mask is none.

    Raises:
        ValueError: not a tensor, or of another dtype.
    """
    return _as_int64(name, value, _INDICES)


def _as_int64(name: str, value: Tensor, dtypes: tuple[torch.dtype, ...]) -> Tensor:
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} of type {type(value).__name__}: give a tensor of integers")
    if value.dtype not in dtypes:
        raise ValueError(f"{name} of {value.dtype}: give integers")
    return value.to(torch.int64)


def whole_number(name: str, value: int, least: int | None = None) -> int:
    """A whole number as a Python int, NumPy's integers among them.

    Args:
        name: of the argument, for the message.
        value: the number.
        least: the smallest that is taken; None for any.

    Raises:
        ValueError: no whole number, a bool, or one below ``least``.

    Example:
        >>> whole_number("k", 2.5, least=1)
        Traceback (most recent call last):
        ValueError: k=2.5: give a whole number of at least 1
    """
    remedy = "give a whole number" + ("" if least is None else f" of at least {least}")
    try:
        if isinstance(value, bool | Tensor):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name}={value!r}: {remedy}") from None
    if least is not None and number < least:
        raise ValueError(f"{name}={number}: {remedy}")
    return number


def real_number(name: str, value: float) -> float:
    """A real number as a Python float, or as the int that it is; NumPy's among them.

    Args:
        name: of the argument, for the message.
        value: the number.

    Raises:
        ValueError: no real number, or a bool.

    Example:
        >>> real_number("lam", "0.5")
        Traceback (most recent call last):
        ValueError: lam='0.5': give a number
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name}={value!r}: give a number")
    return value if type(value) is int else float(value)
