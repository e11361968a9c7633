"""The file that a run resumes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from xbmlib.storage import write_atomically
from xbmlib.training.callbacks import Callback, Training
from xbmlib.training.experiment import ConfigError


def save_checkpoint(run: Training, path: Path, id: str) -> None:
    """Write everything that the rest of a run depends on; every rank has to call it.

    Args:
        run: whose state is written.
        path: of the file, written by the main rank, whole or not at all.
        id: of the run, which :func:`load_checkpoint` compares.

    Raises:
        TypeError: a logged row or a callback's state that :func:`load_checkpoint` could not read.
    """
    states = {name: callback.state_dict() for name, callback in _named(run.callbacks)}
    state = {
        "id": id,
        "step": run.step,
        "seconds": run.seconds,
        "model": run.model.state_dict(),
        "loss": run.loss.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "schedule": run.schedule.state_dict(),
        "memory": run.ranks.memory_state(run.memory) if run.memory is not None else {},
        "rows": run.rows,
        "callbacks": {name: state for name, state in states.items() if state},
        "rng": torch.get_rng_state(),
    }
    for name in ("rows", "callbacks"):
        _check(state[name], name)
    if run.ranks.is_main:
        write_atomically(path, lambda temporary: torch.save(state, temporary))


def load_checkpoint(run: Training, path: Path, id: str) -> None:
    """Bring a run to the state in a file; a callback without a state there starts anew.

    Raises:
        ConfigError: no checkpoint, or that of another run.
    """
    try:
        state = torch.load(path, map_location=run.device, weights_only=True)
    except (EOFError, RuntimeError, UnpicklingError) as error:
        # torch's own message is long, and advises against what is right.
        raise ConfigError(f"{path} is no checkpoint: remove it, or name another file") from error
    if not isinstance(state, dict) or state.get("id") != id:
        raise ConfigError(f"{path} is the state of another run: remove it, or name another file")
    run.step, run.seconds, run.rows = state["step"], state["seconds"], state["rows"]
    run.model.load_state_dict(state["model"])
    run.loss.load_state_dict(state["loss"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.schedule.load_state_dict(state["schedule"])
    if run.memory is not None:
        run.ranks.load_memory(run.memory, state["memory"])
    for name, callback in _named(run.callbacks):
        if name in state["callbacks"]:
            callback.load_state_dict(state["callbacks"][name])
    torch.set_rng_state(state["rng"].cpu())


def _named(callbacks: Iterable[Callback]) -> Iterator[tuple[str, Callback]]:
    """Each under the name of its class, the second of a class as "Name 2" and so on."""
    seen: Counter[str] = Counter()
    for callback in callbacks:
        name = type(callback).__name__
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name} {seen[name]}", callback


def _check(value: Any, where: str) -> None:
    """Refuse what ``torch.load(weights_only=True)`` does not read: instances of other classes."""
    if type(value) in (list, tuple, dict):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            _check(item, f"{where}[{key!r}]")
    elif not isinstance(value, Tensor) and type(value) not in (bool, int, float, str, type(None)):
        kind = f"{type(value).__module__}.{type(value).__name__}"
        raise TypeError(
            f"checkpoint of {where}, a {kind}: give tensors, plain Python numbers, strings, and "
            "lists and dicts of them"
        )
