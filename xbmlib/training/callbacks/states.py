"""The callbacks' states in a checkpoint: what they may hold, and whose they are."""

from __future__ import annotations

import copy
import warnings
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from xbmlib.training.callbacks.base import Callback
from xbmlib.training.experiment import ConfigError


def of(callbacks: Iterable[Callback]) -> dict[str, Any]:
    """The callbacks' states by name, without the empty ones.

    Raises:
        TypeError: one that a checkpoint could not be read with.
    """
    states = {name: callback.state_dict() for name, callback in _named(callbacks)}
    check(states, "callbacks")
    return {name: state for name, state in states.items() if state}


def load(callbacks: Iterable[Callback], states: dict[str, Any], path: Path) -> dict[str, Any]:
    """Load the callbacks' states, all or none; return those of callbacks that are not there."""
    named = dict(_named(callbacks))
    absent = [name for name in states if name not in named]
    for name in absent:
        if (first := name.partition(" ")[0]) in named:
            raise ConfigError(
                f"{path} holds a state of {name}, and fewer callbacks of the class {first} are "
                "given, so that each could take another's: give as many as before, in their order"
            )
        warnings.warn(
            f"{path} holds the state of the callback {name}, which is not given: the state is kept "
            "for later, without the steps of this run",
            stacklevel=4,
        )
    undo: list[tuple[Callback, dict[str, Any], dict[str, Any]]] = []
    for name, callback in named.items():
        if name not in states:
            continue
        undo.append((callback, {**vars(callback)}, copy.deepcopy(callback.state_dict())))
        try:
            callback.load_state_dict(states[name])
        except Exception as error:
            for other, attributes, before in undo:
                _restore(other, attributes, before)
            raise ConfigError(
                f"{path}: the state of the callback {name} is refused ({error}): remove the file, "
                "or give the callback that it was written with"
            ) from error
    return {name: states[name] for name in absent}


def _restore(callback: Callback, attributes: dict[str, Any], state: dict[str, Any]) -> None:
    """Undo a ``load_state_dict``, even one that has failed half-way."""
    if state:
        # What it changed in place; a callback that refuses its own state has no more to give.
        with suppress(Exception):
            callback.load_state_dict(state)
    vars(callback).clear()
    vars(callback).update(attributes)


def _named(callbacks: Iterable[Callback]) -> Iterator[tuple[str, Callback]]:
    """Each under the name of its class, the second of a class as "Name 2" and so on."""
    seen: Counter[str] = Counter()
    for callback in callbacks:
        name = type(callback).__name__
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name} {seen[name]}", callback


def check(value: Any, where: str) -> None:
    """Refuse what ``torch.load(weights_only=True)`` does not read: instances of other classes."""
    if type(value) in (list, tuple, dict, OrderedDict):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            check(item, f"{where}[{key!r}]")
    elif type(value) not in (Tensor, nn.Parameter, bool, int, float, str, type(None)):
        kind = f"{type(value).__module__}.{type(value).__name__}"
        raise TypeError(
            f"checkpoint of {where}, a {kind}: give tensors, plain Python numbers, strings, and "
            "lists and dicts of them"
        )
