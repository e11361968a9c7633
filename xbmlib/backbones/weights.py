"""Weights of a trunk: from files without code in them, and from torchvision by name."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torchvision import models

SHIPPED = {
    ("compact", "scripts"): Path(__file__).resolve().parent.parent / "data" / "compact.safetensors"
}
FILES = (".safetensors", ".pt", ".pth")
# What a classification checkpoint has behind its trunk: torchvision's, and BN-Inception's.
CLASSIFIER = ("fc.", "aux1.", "aux2.", "last_linear.")
# What old files lack: a count of batches.
OPTIONAL = ("num_batches_tracked",)


class WeightsError(ValueError):
    """Weights that cannot be loaded: names the file, what is wrong and the remedy."""


def load_trunk(trunk: nn.Module, name: str, weights: str) -> None:
    """Load the named weights into a trunk; see :func:`xbmlib.backbones.build`."""
    path = SHIPPED.get((name, weights), Path(weights))
    if path.suffix in FILES:
        _fit(trunk, _read(path), str(path))
        return
    names = (
        {w.name: w for w in models.get_model_weights(name)} if name in models.list_models() else {}
    )
    if weights not in names:
        known = [w for n, w in SHIPPED if n == name] + list(names)
        raise WeightsError(
            f"weights={weights!r} for {name}: neither a .safetensors, .pt or .pth file nor a known "
            f"name; known: {', '.join(known) or 'none, give a file'}"
        )
    try:
        state = dict(names[weights].get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"weights={weights!r} for {name}: {error}; try again, or put the file from "
            f"{names[weights].url} into {Path(torch.hub.get_dir(), 'checkpoints')}"
        ) from None
    _fit(trunk, state, weights)


def fingerprint(name: str, weights: str | None) -> str:
    """What identifies the named weights: a file's SHA-256, else the name itself.

    Raises:
        WeightsError: a file that cannot be read.
    """
    path = SHIPPED.get((name, weights or ""), Path(weights or ""))
    if path.suffix not in FILES:
        return weights or "none"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise _missing(path) from None


def _missing(path: Path) -> WeightsError:
    return WeightsError(f"weights={str(path)!r}: no such file; give the path of one")


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise _missing(path) from None
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"{path}: not a plain file of tensors ({reason}); save a state_dict, or .safetensors"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path}: holds {type(state).__name__}; save a model's state_dict()")
    return state


def _fit(trunk: nn.Module, state: dict[str, Tensor], source: str) -> None:
    own = trunk.state_dict()
    state = {key: value for key, value in own.items() if key.endswith(OPTIONAL)} | {
        key: value for key, value in state.items() if not key.startswith(CLASSIFIER)
    }
    state = {key: _adapt(value, own.get(key)) for key, value in state.items()}
    wrong = {
        "missing": own.keys() - state.keys(),
        "unexpected": state.keys() - own.keys(),
        "of another shape": {
            key for key in own.keys() & state.keys() if own[key].shape != state[key].shape
        },
    }
    told = [f"{kind}: {', '.join(sorted(keys)[:5])}" for kind, keys in wrong.items() if keys]
    if told:
        raise WeightsError(f"{source}: does not fit this backbone; {'; '.join(told)}")
    trunk.load_state_dict(state)


def _adapt(value: Tensor, own: Tensor | None) -> Tensor:
    """What stands for the same in another shape."""
    if own is None or own.shape == value.shape:
        return value
    # Older files of BN-Inception hold batch normalisation as (1, C).
    if own.ndim == 1 and value.shape == (1, *own.shape):
        return value[0]
    # Filters of one channel over the three that a grey picture would have alike.
    if own.ndim == 4 and own.shape[1] == 3 and value.shape[1:2] == (1,):
        return value.expand(-1, 3, -1, -1) / 3
    return value


def save_trunk(trunk: nn.Module, path: Path) -> None:
    """Write a trunk's weights as safetensors, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    state = {key: value.detach().cpu().contiguous() for key, value in trunk.state_dict().items()}
    try:
        # Not by ``save_file``, whose files only their owner can read.
        temporary.write_bytes(save(state))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
