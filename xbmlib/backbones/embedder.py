"""The embedder f(x; θ): trunk, global pooling, linear head, L2 normalisation (Section 4.1)."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


class Embedder(nn.Module):
    """Images (B, C, H, W) in [0, 1] to embeddings (B, D) of norm 1, float32 even under autocast.

    Args:
        trunk: normalised images to feature maps (B, features, h, w).
        features: channels of the feature maps.
        dim: D, embedding dimension, >= 1.
        pooling: "avg" (the paper) or "max" (the released networks).
        normalise: images in [0, 1] to what the trunk expects; by default they are left as they are.
        freeze_bn: see :meth:`freeze_batch_norm`.

    Raises:
        ValueError: another pooling, or a dim below 1.

    Example:
        >>> import torch
        >>> trunk = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU())
        >>> embedder = Embedder(trunk, features=16, dim=8)
        >>> embedder(torch.rand(4, 3, 32, 32)).shape
        torch.Size([4, 8])
    """

    def __init__(
        self,
        trunk: nn.Module,
        features: int,
        dim: int,
        pooling: str = "avg",
        *,
        normalise: nn.Module | None = None,
        freeze_bn: bool = False,
    ) -> None:
        super().__init__()
        if pooling not in ("avg", "max"):
            raise ValueError(f'pooling={pooling!r}: use "avg" or "max"')
        if dim < 1:
            raise ValueError(f"dim={dim}: give at least 1")
        self.normalise = normalise or nn.Identity()
        self.trunk = trunk
        self.pooling = pooling
        self.head = nn.Linear(features, dim)
        nn.init.kaiming_normal_(self.head.weight, mode="fan_out")
        nn.init.zeros_(self.head.bias)
        self.frozen_bn = False
        if freeze_bn:
            self.freeze_batch_norm()

    def forward(self, x: Tensor) -> Tensor:
        """Embed images (B, C, H, W) in [0, 1]: (B, D)."""
        maps = self.trunk(self.normalise(x))  # (B, features, h, w)
        pooled = maps.mean((2, 3)) if self.pooling == "avg" else maps.amax((2, 3))
        return F.normalize(self.head(pooled).float())

    def freeze_batch_norm(self) -> None:
        """Keep every batch normalisation of the trunk as it is, in training too.

        Running statistics are used and not updated; weight and bias take no gradient (their
        ``grad`` stays None, so that optimisers skip them, weight decay included). For trunks with
        trained statistics: those of a random trunk are 0 and 1, and normalise nothing. Weights may
        be loaded before or after.
        """
        self.frozen_bn = True
        for module in self._batch_norms():
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode; a frozen batch normalisation stays in evaluation mode."""
        super().train(mode)
        if self.frozen_bn:
            for module in self._batch_norms():
                module.eval()
        return self

    def _batch_norms(self) -> list[nn.Module]:
        # The base class of batch normalisation in one process and across processes.
        return [module for module in self.trunk.modules() if isinstance(module, _BatchNorm)]
