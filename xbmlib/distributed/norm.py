"""Batch normalisation over the global batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from xbmlib.distributed.group import Group, rank_and_size


def sync_batch_norm(model: nn.Module, group: Group = None) -> nn.Module:
    """The model with every batch normalisation taken over the global batch.

    Parameters, buffers and their names stay. On a GPU this is torch's ``SyncBatchNorm``, which
    does not take tensors on the CPU; there it is :class:`GlobalBatchNorm`. Both weight a rank by
    the number of its rows.

    Args:
        model: changed in place, unless it is itself a batch normalisation.
        group: of the processes; all of them by default.
    """
    rank_and_size(group)
    if any(p.is_cuda for p in model.parameters()):
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model, group)
        return converted
    if isinstance(model, _BatchNorm):
        return GlobalBatchNorm.of(model, group)
    for name, child in model.named_children():
        setattr(model, name, sync_batch_norm(child, group))
    return model


class GlobalBatchNorm(_BatchNorm):
    """Batch normalisation with the mean and variance over the rows of all ranks.

    Both are computed in at least float32, each with one all-reduce, and one more for its gradient.
    """

    group: Group

    @classmethod
    def of(cls, norm: _BatchNorm, group: Group) -> GlobalBatchNorm:
        """A replacement for ``norm``, with its parameters and running statistics."""
        new = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        new.group, new.training = group, norm.training
        new.weight, new.bias = norm.weight, norm.bias
        new.running_mean, new.running_var = norm.running_mean, norm.running_var
        new.num_batches_tracked = norm.num_batches_tracked
        return new

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"input of shape {tuple(input.shape)}: give (B, C, ...)")

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) to the same shape; B may be 0 on some ranks.

        Raises:
            ValueError: fewer than 2 values per channel on all ranks together.
        """
        self._check_input_dim(input)
        if not self.training and self.running_mean is not None:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        with torch.autocast(input.device.type, enabled=False):
            return self._normalise(input)

    def _normalise(self, input: Tensor) -> Tensor:
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        others = [d for d in range(x.ndim) if d != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        count = x.new_tensor([x.numel() // max(1, x.shape[1])], dtype=torch.float64)
        dist.all_reduce(count, group=self.group)
        n = float(count)
        if n < 2:
            raise ValueError(
                f"{n:.0f} values per channel on all ranks together: batch normalisation needs 2"
            )
        mean = all_sum(x.sum(others), self.group) / n
        centred = x - mean.view(shape)
        variance = all_sum(centred.square().sum(others), self.group) / n
        if self.running_mean is not None:
            self._track(mean.detach(), variance.detach() * (n / (n - 1)))
        scale = (variance + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight.to(x.dtype)
        out = centred * scale.view(shape)
        if self.bias is not None:
            out = out + self.bias.to(x.dtype).view(shape)
        return out.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """The running statistics, as torch keeps them."""
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None and self.running_var is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        weight = 1 / float(self.num_batches_tracked) if momentum is None else momentum
        self.running_mean.lerp_(mean.to(self.running_mean), weight)
        self.running_var.lerp_(variance.to(self.running_var), weight)


def all_sum(x: Tensor, group: Group) -> Tensor:
    """The sum of x over the ranks; so is its gradient, as every rank uses the sum."""
    total: Tensor = _AllSum.apply(x, group)
    return total


class _AllSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # Itself a sum that can be differentiated, for second derivatives.
        return all_sum(grad, ctx.group), None
