"""The file that a run resumes from."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xbmlib.storage import require_writable, write_atomically
from xbmlib.training.callbacks import Training, states
from xbmlib.training.experiment import ConfigError

# What a checkpoint ends with: its digest. torch reads over it.
MARK = b"\nsha256 "
TRAILER = len(MARK) + 64
# Bytes of a parameter in a checkpoint: itself and Adam's two moments, in float32.
PER_PARAMETER = 3 * 4
KEYS = {"id", "step", "seconds", "model", "loss", "optimiser", "schedule", "memory", "rows",
        "callbacks", "rng"}  # fmt: skip


def save_checkpoint(run: Training, path: Path, id: str) -> None:
    """Write everything that the rest of a run depends on; every rank has to call it.

    Args:
        run: whose state is written.
        path: of the file, written by the main rank, whole or not at all.
        id: of the run, which :func:`load_checkpoint` compares.

    Raises:
        TypeError: a logged row or a callback's state that :func:`load_checkpoint` could not read.
        StorageError: a disk that is full or read-only.
    """
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
        "callbacks": run.absent | states.of(run.callbacks),
        "rng": torch.get_rng_state(),
    }
    states.check(run.rows, "rows")
    if run.ranks.is_main:
        write_atomically(path, lambda temporary: write_state(state, temporary))


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write a state and, behind it, its digest.

    Raises:
        StorageError: a disk that is full or read-only.
    """
    try:
        torch.save(state, path)
    except RuntimeError:
        try:
            # torch does not say why a write fails.
            require_writable(path.parent)
        finally:
            # It keeps the file open, whose space would stay taken.
            os.truncate(path, 0)
        raise
    digest = _digest(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(MARK + digest.encode())


def load_checkpoint(run: Training, path: Path, id: str) -> None:
    """Bring a run to the state in a file; a callback without a state there starts anew.

    A file that is refused leaves the run and its callbacks as they were. The state of a callback
    that is not among the run's is kept for the checkpoints that follow.

    Raises:
        ConfigError: no checkpoint, a damaged one, that of another run, a state that a callback
            refuses, or states of more callbacks of a class than the run has.

    Warns:
        UserWarning: a callback that the file has a state of is not among the run's.
    """
    state = read_checkpoint(path, id, run.device)
    for name in ("model", "loss"):
        _check_fit(getattr(run, name), state[name], f"{path}: {name}")
    run.absent = states.load(run.callbacks, state["callbacks"], path)
    run.step, run.seconds, run.rows = state["step"], state["seconds"], state["rows"]
    run.model.load_state_dict(state["model"])
    run.loss.load_state_dict(state["loss"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.schedule.load_state_dict(state["schedule"])
    if run.memory is not None:
        run.ranks.load_memory(run.memory, state["memory"])
    torch.set_rng_state(state["rng"].cpu())


def read_checkpoint(path: Path, id: str, device: torch.device) -> dict[str, Any]:
    """The state in a file, once its digest is seen to be right; nothing in it is executed.

    Raises:
        ConfigError: no checkpoint, a damaged one, or that of another run.
    """
    remedy = "remove it, or name another file"
    try:
        size = path.stat().st_size - TRAILER
        with path.open("rb") as file:
            file.seek(max(size, 0))
            trailer = file.read()
        if size < 0 or not trailer.startswith(MARK):
            raise ConfigError(f"{path} is no checkpoint, or was cut off: {remedy}")
        if trailer.removeprefix(MARK) != _digest(path, size).encode():
            raise ConfigError(f"{path} is damaged (not the content of its digest): {remedy}")
        state = torch.load(path, map_location=device, weights_only=True)
    except ConfigError:
        raise
    # Whatever torch raises: its own message is long, and advises against what is right.
    except Exception as error:
        raise ConfigError(f"{path} is no checkpoint ({type(error).__name__}): {remedy}") from error
    if not isinstance(state, dict) or state.get("id") != id or state.keys() != KEYS:
        raise ConfigError(f"{path} is the state of another run: {remedy}")
    return state


def set_aside(path: Path, id: str) -> None:
    """Rename a run's checkpoint that cannot be read, so that the run starts anew; say so.

    Args:
        path: of the checkpoint, if there is one.
        id: of the run.
    """
    if not path.is_file():
        return
    try:
        read_checkpoint(path, id, torch.device("cpu"))
    except ConfigError as error:
        aside = path.with_name(f"{path.name}.damaged")
        os.replace(path, aside)
        fault = str(error).rpartition(": ")[0]
        print(f"{fault}: kept as {aside.name}, the run starts anew", file=sys.stderr, flush=True)


def checkpoint_size(run: Training) -> int:
    """Bytes of a checkpoint, estimated from parameters and memory."""
    parameters = sum(p.numel() for p in run.model.parameters())
    held = run.memory.state_dict().values() if run.memory is not None else ()
    return parameters * PER_PARAMETER + sum(t.nbytes for t in held)


def _digest(path: Path, size: int) -> str:
    """SHA-256 of a file's first bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (part := file.read(min(size, 1 << 20))):
            digest.update(part)
            size -= len(part)
    return digest.hexdigest()


def _check_fit(module: nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Refuse tensors of other names or shapes, of which torch would load those that fit."""
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    if wanted != found:
        name, *_ = sorted(dict(wanted.items() ^ found.items()))
        raise ConfigError(
            f"{where} has {name} of shape {found.get(name)}, here it is {wanted.get(name)}: "
            "remove it, or name another file"
        )
