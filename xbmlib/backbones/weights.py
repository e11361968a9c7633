"""Weights of a trunk: from files without code in them, and from torchvision by name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xbmlib.extras import require

SHIPPED = {
    ("compact", "scripts"): Path(__file__).resolve().parent.parent / "data" / "compact.safetensors"
}
FILES = (".safetensors", ".pt", ".pth")
# The backbones whose weights torchvision offers by name.
TORCHVISION = ("googlenet", "resnet50")
# What a classification checkpoint has behind its trunk: torchvision's, and BN-Inception's.
CLASSIFIER = ("fc.", "aux1.", "aux2.", "last_linear.")
# What old files lack: a count of batches.
OPTIONAL = ("num_batches_tracked",)


class WeightsError(ValueError):
    """Weights that cannot be loaded: names the file, the fault and the remedy."""


def load_trunk(trunk: nn.Module, name: str, weights: str) -> None:
    """Load the named weights into a trunk; see :func:`xbmlib.backbones.build`.

    Raises:
        WeightsError: an unknown name, a file that is missing or not of plain tensors, a download
            that fails, or tensors that do not fit the trunk.
        MissingExtra: a .safetensors file or a name of torchvision's without that package.
    """
    path = SHIPPED.get((name, weights), Path(weights))
    if path.suffix in FILES:
        trunk.load_state_dict(_fitting(trunk, _read(path), str(path)))
        return
    published = _known(name, weights)
    try:
        state = dict(published[weights].get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"weights={weights!r} for {name}: {error}; try again, or put the file from "
            f"{published[weights].url} into {Path(torch.hub.get_dir(), 'checkpoints')}"
        ) from None
    trunk.load_state_dict(_fitting(trunk, state, weights))


def check_trunk(trunk: nn.Module, name: str, weights: str) -> None:
    """Refuse what :func:`load_trunk` would refuse, and load nothing.

    Args:
        trunk: of the backbone; on the "meta" device it costs no memory.
        name: of the backbone.
        weights: named weights; what torchvision offers is not downloaded for this.

    Raises:
        WeightsError, MissingExtra: as :func:`load_trunk`.
    """
    path = SHIPPED.get((name, weights), Path(weights))
    if path.suffix in FILES:
        _fitting(trunk, _read(path), str(path))
    else:
        _known(name, weights)


def _known(name: str, weights: str) -> dict[str, Any]:
    """What torchvision offers for a backbone, the named weights among it.

    Raises:
        WeightsError: they are not.
    """
    published = _published(name)
    if weights not in published:
        known = [w for n, w in SHIPPED if n == name] + list(published)
        raise WeightsError(
            f"weights={weights!r} for {name}: neither a .safetensors, .pt or .pth file nor a known "
            f"name; known: {', '.join(known) or 'none, give a file'}"
        )
    return published


def _published(name: str) -> dict[str, Any]:
    """The weights that torchvision offers for a backbone, by their names."""
    if name not in TORCHVISION:
        return {}
    models = require("torchvision.models", extra="study")
    return {weights.name: weights for weights in models.get_model_weights(name)}


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
    except (OSError, ValueError):  # a name that no file can have among them
        raise _missing(path) from None


def _missing(path: Path) -> WeightsError:
    if path in SHIPPED.values():
        return WeightsError(
            f"{path}: not installed; it is in the folder xbmlib/data of the repository: copy it "
            "from there, or clone the repository and install it with pip install -e"
        )
    fault = "not a file" if os.path.exists(path) else "no such file"
    return WeightsError(f"weights={str(path)!r}: {fault}; give the path of one")


def _read(path: Path) -> dict[str, Tensor]:
    if not os.path.isfile(path):
        raise _missing(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    # For a damaged file, whatever its bytes happen to mean: IndexError, KeyError, struct.error.
    except Exception as error:
        raise _no_tensors(path, error) from None
    return _state_dict(path, state)


def _state_dict(path: Path, state: Any) -> dict[str, Tensor]:
    """What a file holds, if it is a state_dict."""
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: holds {type(state).__name__}; save a model's state_dict()")
    for name, value in state.items():
        if isinstance(value, dict) and all(isinstance(v, Tensor) for v in value.values()):
            raise WeightsError(
                f"{path}: holds a state_dict in its entry {name!r}; save that alone: "
                f"torch.save(torch.load(path)[{name!r}], another)"
            )
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise WeightsError(
                f"{path}: holds {type(value).__name__} under {name!r}; save a model's state_dict()"
            )
    return state


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    safetensors = require("safetensors.torch", extra="study")
    try:
        return dict(safetensors.load_file(path))
    except Exception as error:  # its own SafetensorError, and those of dtypes that torch lacks
        raise _no_tensors(path, error) from None


def _no_tensors(path: Path, error: Exception) -> WeightsError:
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    return WeightsError(
        f"{path}: not a plain file of tensors ({reason}); save a state_dict, or .safetensors"
    )


def _fitting(trunk: nn.Module, state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """The state in the trunk's names and shapes.

    Raises:
        WeightsError: it does not fit.
    """
    wanted = trunk.state_dict()
    state = {key: value for key, value in wanted.items() if key.endswith(OPTIONAL)} | {
        key: value for key, value in state.items() if not key.startswith(CLASSIFIER)
    }
    state = {key: _adapt(value, wanted.get(key)) for key, value in state.items()}
    misfits = {
        "missing": wanted.keys() - state.keys(),
        "unexpected": state.keys() - wanted.keys(),
        "of another shape": {
            key for key in wanted.keys() & state.keys() if wanted[key].shape != state[key].shape
        },
    }
    faults = [f"{kind}: {', '.join(sorted(keys)[:5])}" for kind, keys in misfits.items() if keys]
    if faults:
        raise WeightsError(f"{source}: does not fit this backbone; {'; '.join(faults)}")
    for key, value in state.items():
        # The trunk's own value may be on the "meta" device.
        if value is not wanted[key] and (fault := _fault(value, wanted[key])):
            raise WeightsError(
                f"{source}: {key} {fault}; save a state_dict of plain, finite tensors"
            )
    return state


def _fault(value: Tensor, wanted: Tensor) -> str:
    """Why a tensor of the right shape cannot be a weight; empty where it can."""
    if value.layout != torch.strided or value.is_meta or value.is_quantized:
        kind = "meta" if value.is_meta else "quantized" if value.is_quantized else "sparse"
        return f"is a {kind} tensor"
    if value.is_floating_point() != wanted.is_floating_point() or value.is_complex():
        return f"is {value.dtype}, where {wanted.dtype} belongs"
    if not value.isfinite().all():
        return "has values that are not finite"
    return ""


def _adapt(value: Tensor, wanted: Tensor | None) -> Tensor:
    """The same weights in the trunk's shape, where a known convention tells how; else as they are.

    Args:
        value: from the file.
        wanted: the trunk's parameter of the same name, if it has one.
    """
    if wanted is None or wanted.shape == value.shape:
        return value
    # Older files of BN-Inception hold batch normalisation as (1, C).
    if wanted.ndim == 1 and value.shape == (1, *wanted.shape):
        return value[0]
    # (out, 1, k, k) to (out, 3, k, k): a third of the filter for each channel, so that a grey
    # image, alike in all three, has the same response.
    if wanted.ndim == 4 and wanted.shape[1] == 3 and value.shape[1:2] == (1,):
        return value.expand(-1, 3, -1, -1) / 3
    return value


def save_trunk(trunk: nn.Module, path: Path) -> None:
    """Write a trunk's weights as safetensors, whole or not at all.

    Raises:
        MissingExtra: safetensors is not installed.
    """
    safetensors = require("safetensors.torch", extra="study")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    state = {key: value.detach().cpu().contiguous() for key, value in trunk.state_dict().items()}
    try:
        # Not by ``save_file``, whose files only their owner can read.
        with temporary.open("wb") as file:
            file.write(safetensors.save(state))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
