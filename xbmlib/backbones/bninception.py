"""BN-Inception (Ioffe & Szegedy 2015, Figure 5), in the layout of its public Caffe weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(NamedTuple):
    """Channels of the branches of one Inception block; 0 for a layer that it lacks.

    A block without a 1×1 branch halves the resolution: its last 3×3 convolutions and its pooling
    have stride 2, and the pooled input is concatenated without a projection.
    """

    name: str
    one: int  # 1×1
    reduce: int  # 1×1 before the 3×3
    three: int  # 3×3
    double_reduce: int  # 1×1 before the double 3×3
    double: int  # each 3×3 of two
    pool: str  # "avg" or "max", 3×3
    project: int  # 1×1 after the pooling

    @property
    def stride(self) -> int:
        """Of the last 3×3 convolutions and the pooling."""
        return 1 if self.one else 2

    def out(self, wide_in: int) -> int:
        """Channels of the output for an input of ``wide_in`` channels."""
        return self.one + self.three + self.double + (self.project or wide_in)


# Figure 5, except that in 4c and 4d the public weights project the pooled input to 128 channels,
# the figure to 96. Their first convolution is an ordinary one, the paper's a separable one.
BLOCKS = (
    #     name  1×1  3×3       double 3×3  pool
    Block("3a", 64, 64, 64, 64, 96, "avg", 32),
    Block("3b", 64, 64, 96, 64, 96, "avg", 64),
    Block("3c", 0, 128, 160, 64, 96, "max", 0),
    Block("4a", 224, 64, 96, 96, 128, "avg", 128),
    Block("4b", 192, 96, 128, 96, 128, "avg", 128),
    Block("4c", 160, 128, 160, 128, 160, "avg", 128),
    Block("4d", 96, 128, 192, 160, 192, "avg", 128),
    Block("4e", 0, 128, 192, 192, 256, "max", 0),
    Block("5a", 352, 192, 320, 160, 224, "avg", 128),
    Block("5b", 352, 192, 320, 192, 224, "max", 128),
)  # fmt: skip
FEATURES = 1024


class BNInception(nn.ModuleDict):
    """Trunk of BN-Inception: (B, 3, H, W) to (B, 1024, H / 32, W / 32), 10.3 M parameters.

    Modules have the flat names of the public weights (``inception_3a_1x1``,
    ``inception_3a_1x1_bn``, ...), which therefore load unchanged. Convolutions have biases as
    there, although batch normalisation follows each. Pooling rounds sizes up, as Caffe does. Batch
    normalisation keeps 0.9 of its running statistics at each step, the default of both Caffe's
    layer and PyTorch.
    """

    def __init__(self) -> None:
        super().__init__()
        self._add("conv1_7x7_s2", 3, 64, 7, 2)
        self._add("conv2_3x3_reduce", 64, 64, 1)
        self._add("conv2_3x3", 64, 192, 3)
        wide = 192
        for block in BLOCKS:
            self._add_block(block, wide)
            wide = block.out(wide)

    def _add(self, name: str, wide_in: int, wide: int, side: int, stride: int = 1) -> None:
        self[name] = nn.Conv2d(wide_in, wide, side, stride, side // 2)
        self[f"{name}_bn"] = nn.BatchNorm2d(wide)

    def _add_block(self, block: Block, wide: int) -> None:
        name = f"inception_{block.name}"
        if block.one:
            self._add(f"{name}_1x1", wide, block.one, 1)
        self._add(f"{name}_3x3_reduce", wide, block.reduce, 1)
        self._add(f"{name}_3x3", block.reduce, block.three, 3, block.stride)
        self._add(f"{name}_double_3x3_reduce", wide, block.double_reduce, 1)
        self._add(f"{name}_double_3x3_1", block.double_reduce, block.double, 3)
        self._add(f"{name}_double_3x3_2", block.double, block.double, 3, block.stride)
        if block.project:
            self._add(f"{name}_pool_proj", wide, block.project, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, 1024, H / 32, W / 32) of images (B, 3, H, W), already normalised.

        Raises:
            ValueError: a side at which the branches of a halving block would differ in size: of an
                odd side, their convolutions keep the larger half and their pooling the smaller.
        """
        if any((side + 1) // 8 % 4 for side in x.shape[2:]):
            raise ValueError(
                f"images of {x.shape[2]} × {x.shape[3]} pixels: BN-Inception takes sides of "
                "32 n - 1 to 32 n + 6, such as 224 or 227"
            )
        x = F.max_pool2d(self._convolve(x, "conv1_7x7_s2"), 3, 2, ceil_mode=True)
        x = self._convolve(x, "conv2_3x3_reduce", "conv2_3x3")
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for block in BLOCKS:
            x = self._through(block, x)
        return x

    def _convolve(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = F.relu(self[f"{name}_bn"](self[name](x)), inplace=True)
        return x

    def _through(self, block: Block, x: Tensor) -> Tensor:
        name = f"inception_{block.name}"
        three = self._convolve(x, f"{name}_3x3_reduce", f"{name}_3x3")
        double = self._convolve(
            x, f"{name}_double_3x3_reduce", f"{name}_double_3x3_1", f"{name}_double_3x3_2"
        )
        if block.stride == 2:
            return torch.cat([three, double, F.max_pool2d(x, 3, 2, ceil_mode=True)], 1)
        one = self._convolve(x, f"{name}_1x1")
        pooled = F.max_pool2d(x, 3, 1, 1) if block.pool == "max" else F.avg_pool2d(x, 3, 1, 1)
        return torch.cat([one, three, double, self._convolve(pooled, f"{name}_pool_proj")], 1)
