"""Any torch module as the embedder f(x; θ)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ModelError(ValueError):
    """A module that is no embedder: names what it gives, what is wanted and the remedy."""


class Normalised(nn.Module):
    """A module's vectors brought to unit length, in float32 under autocast too.

    Those of unit length already are kept, but for rounding.

    Args:
        model: images (B, C, H, W) to vectors (B, D) of any length above zero.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Embed images, (B, D)."""
        return F.normalize(self.model(x).float())


def normalised(model: nn.Module, images: Tensor, dim: int | None = None) -> Normalised:
    """Take a module for an embedder, tried out once on a few images in evaluation mode.

    Args:
        model: images (B, C, H, W), float in [0, 1], to (B, D); put on the device of ``images``.
        images: (B, C, H, W) float.
        dim: the D that a memory has room for; None for any.

    Raises:
        ModelError: no module; a module that fails on the images, gives another shape or another
            D, or a vector that is not finite or has no direction.
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
            f"({len(images)}, D), say by a last nn.Flatten()"
        )
    if not out.is_floating_point():
        raise ModelError(f"the model gives {out.dtype}: give floating point")
    if dim is not None and out.shape[1] != dim:
        raise ModelError(
            f"the model gives D = {out.shape[1]} and the memory holds dim={dim}: give "
            f"dim={out.shape[1]}"
        )
    if not out.isfinite().all():
        raise ModelError("the model gives values that are not finite: look at its weights")
    if not out.norm(dim=1).all():
        raise ModelError(
            "the model gives a vector of zeros, which has no direction to compare: end it with "
            "a linear layer rather than a ReLU"
        )
    return Normalised(model)
