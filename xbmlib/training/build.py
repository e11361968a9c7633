"""What a run is built from: model, loss, optimiser and memory, as its experiment names them."""

from __future__ import annotations

import torch
from torch import nn

from xbmlib import backbones, bfloat16
from xbmlib.datasets import Retrieval
from xbmlib.datasets.transforms import to_float
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, PairLoss, TripletLoss
from xbmlib.training.experiment import Experiment
from xbmlib.training.ranks import Memory, Ranks


def build_model(
    e: Experiment, data: Retrieval, device: torch.device, custom: nn.Module | None = None
) -> nn.Module:
    """The embedder: the backbone that the experiment names, or ``custom`` with unit vectors.

    Raises:
        ValueError: weights or a model that do not fit.
    """
    model: nn.Module
    if custom is None:
        # Whatever the default device: the random numbers of another are not those of the seed.
        with torch.device("cpu"):
            model = backbones.build(
                e.backbone,
                e.dim,
                e.weights,
                pooling=e.pooling,
                channels=data.train.channels,
                freeze_bn=e.freeze_bn,
            )
    else:
        trial = to_float(data.train.fetch(torch.arange(2, device="cpu")).to(device))
        model = backbones.normalised(custom, trial, e.dim if e.ratio else None)
    return model.to(device)


def build_loss(e: Experiment) -> PairLoss:
    """The loss that the experiment names."""
    if e.loss == "contrastive":
        return ContrastiveLoss(e.lam, e.reduction)
    if e.loss == "triplet":
        return TripletLoss(e.eta, e.reduction)
    return MultiSimilarityLoss(e.alpha, e.beta, e.lam, e.epsilon, e.reduction)


def build_optimiser(e: Experiment, model: nn.Module, loss: nn.Module) -> torch.optim.Optimizer:
    """Adam over the parameters of the model, and of the loss where it has any."""
    return torch.optim.Adam(
        [*model.parameters(), *loss.parameters()],
        e.lr,
        weight_decay=e.weight_decay,
        fused=True,
    )


def build_memory(e: Experiment, n: int, device: torch.device, ranks: Ranks) -> Memory | None:
    """The memory for a training set of n images; with a shadow where it makes the search faster."""
    size, dtype = e.memory_size(n), getattr(torch, e.memory_dtype)
    if not size:
        return None
    wanted = e.precision == "bf16" and bfloat16.is_fast(device)
    shadow = wanted and dtype == torch.float32
    return ranks.memory(e.memory_shards)(size, e.dim, dtype=dtype, device=device, shadow=shadow)


def fingerprints(
    e: Experiment,
    data: Retrieval,
    model: nn.Module | None = None,
    loss: nn.Module | None = None,
) -> list[str]:
    """What a run starts from: its data, its weights or custom model, and any custom loss."""
    weights = backbones.fingerprint(e.backbone, e.weights) if model is None else f"model: {model!r}"
    return [data.fingerprint, weights, *([] if loss is None else [f"loss: {loss!r}"])]
