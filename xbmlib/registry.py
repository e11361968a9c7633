"""Modules by number, for operators of compiled graphs, which take numbers and tensors alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from torch import nn

_MODULES: WeakValueDictionary[int, nn.Module] = WeakValueDictionary()
_NUMBERS = itertools.count()


class Registered(nn.Module):
    """A module with a number of its own, which its copies do not share."""

    def __init__(self) -> None:
        super().__init__()
        self._register()

    def _register(self) -> None:
        self._number = next(_NUMBERS)
        _MODULES[self._number] = self

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        # Copied or unpickled.
        super().__setstate__(dict(state))
        self._register()


def registered(number: int) -> nn.Module:
    """The module of a number."""
    return _MODULES[number]
