"""Any torch module as the embedder f(x; θ)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ModelError(ValueError):
    """A module that is not an embedder: names its output, the one expected and the remedy."""


class Normalised(nn.Module):
    """A module with its vectors scaled to norm 1, in float32 even under autocast.

    Args:
        model: images (B, C, H, W) to vectors (B, D) of any norm above 0.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Embed images (B, C, H, W): (B, D)."""
        return F.normalize(self.model(x).float())


def normalised(model: nn.Module, images: Tensor, dim: int | None = None) -> Normalised:
    """Make an embedder of any module, after a trial on a few images in evaluation mode.

    Args:
        model: images (B, C, H, W), float in [0, 1], to (B, D); moved to the device of ``images``.
        images: (B, C, H, W) float in [0, 1].
        dim: the D of the memory; None for any.

    Returns:
        The module with its output scaled to norm 1.

    Raises:
        ModelError: not a module; or a module that fails on the images, or returns another shape,
            another D, whole numbers, or a vector that is zero or not finite.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"model of type {type(model).__name__}: give a torch.nn.Module")
    model.to(images.device)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            out = model(images)
    except Exception as error:
        raise ModelError(
            f"the model fails on images {tuple(images.shape)} of {images.dtype}: {error}"
        ) from error
    finally:
        model.train(training)
    found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
    if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != len(images):
        raise ModelError(
            f"the model gives {found} for images {tuple(images.shape)}: give vectors "
            f"({len(images)}, D), for instance by a last nn.Flatten()"
        )
    if not out.is_floating_point():
        raise ModelError(f"the model gives {out.dtype}: give floating point")
    if dim is not None and out.shape[1] != dim:
        raise ModelError(
            f"the model gives D = {out.shape[1]} and the memory holds dim={dim}: give "
            f"dim={out.shape[1]}"
        )
    if not out.isfinite().all():
        raise ModelError("the model gives values that are not finite: check its weights")
    if not out.norm(dim=1).all():
        raise ModelError(
            "the model gives a vector of zeros, which has no direction to compare: end it with "
            "a linear layer rather than a ReLU"
        )
    return Normalised(model)
