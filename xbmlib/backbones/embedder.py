"""The embedder f(x; θ): trunk, global pooling, linear head, L2 normalisation (Section 4.1)."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


class Embedder(nn.Module):
    """Images (B, C, H, W) in [0, 1] to unit vectors (B, D), float32 under autocast too.

    Args:
        trunk: what `normalise` gives to feature maps (B, features, h, w).
        features: channels of the feature maps.
        dim: D, embedding dimension.
        pooling: "avg" (the paper) or "max" (the released networks).
        normalise: images in [0, 1] to what the trunk expects; by default they are that.
        freeze_bn: see :meth:`freeze_batch_norm`.
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
        """Embed images."""
        maps = self.trunk(self.normalise(x))
        pooled = maps.mean((2, 3)) if self.pooling == "avg" else maps.amax((2, 3))
        return F.normalize(self.head(pooled).float())

    def freeze_batch_norm(self) -> None:
        """Keep every batch normalisation as it is, through training too.

        It uses its running statistics and does not update them, and its weight and bias take no
        gradient (their ``grad`` stays None, so that optimisers pass them over, weight decay
        included). For trunks with trained statistics: those of a random trunk are 0 and 1, and
        normalise nothing. Weights may be loaded before or after.
        """
        self.frozen_bn = True
        for module in self._batch_norms():
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training mode; a frozen batch normalisation stays in evaluation mode."""
        super().train(mode)
        if self.frozen_bn:
            for module in self._batch_norms():
                module.eval()
        return self

    def _batch_norms(self) -> list[nn.Module]:
        # Of one process or of many.
        return [module for module in self.trunk.modules() if isinstance(module, _BatchNorm)]
