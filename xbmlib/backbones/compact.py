"""A residual network small enough to train on one CPU core."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (32, 64, 128, 256)
STRIDES = (1, 2, 2, 2)


class Block(nn.Module):
    """Two 3×3 convolutions with batch normalisation around a shortcut."""

    def __init__(self, wide_in: int, wide: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(wide_in, wide, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or wide_in != wide:
            self.shortcut = nn.Sequential(
                nn.Conv2d(wide_in, wide, 1, stride, bias=False), nn.BatchNorm2d(wide)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, wide_in, H, W) to (B, wide, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x), inplace=True)


class Compact(nn.Sequential):
    """Trunk for 32×32 images of 1 or 3 channels: a strided stem, four blocks, 32 to 256 wide.

    The stem halves the resolution at once: a step at m = 16 then takes less than half the time of
    one at full resolution. 1.2 M parameters; (B, 1, 32, 32) to (B, 256, 2, 2).
    """

    def __init__(self, channels: int = 1) -> None:
        stem = nn.Sequential(
            nn.Conv2d(channels, WIDTHS[0], 5, 2, 2, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(inplace=True),
        )
        blocks = [
            Block(wide_in, wide, stride)
            for wide_in, wide, stride in zip(
                (WIDTHS[0], *WIDTHS[:-1]), WIDTHS, STRIDES, strict=True
            )
        ]
        super().__init__(stem, *blocks)
