"""The protocol of callbacks: what watches a run without taking part in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from xbmlib.datasets import Images, Retrieval
from xbmlib.losses import ValidPairs
from xbmlib.training.experiment import Experiment
from xbmlib.training.ranks import Memory, Ranks
from xbmlib.training.schedule import Schedule

Row = dict[str, float]


class LossPart(NamedTuple):
    """A loss against the batch or against the memory.

    Attributes:
        value: scalar, detached.
        valid: the pairs that have a gradient; None for a loss that does not report them.
    """

    value: Tensor
    valid: ValidPairs | None

    @classmethod
    def of(cls, loss: nn.Module, value: Tensor) -> LossPart:
        """The latest call of ``loss``, which returned ``value``."""
        return cls(value.detach(), getattr(loss, "valid", None))


@dataclass(frozen=True)
class Step:
    """One iteration of Algorithm 1, after the update; nothing in it carries a gradient.

    Attributes:
        index: t, from 0; ``trainer.step`` is t + 1 by now.
        lr: learning rate of the update.
        embeddings: (m, D), of the batch, before the update.
        labels: (m,) int64.
        ids: (m,) int64, rows of the training set.
        own: (m,) int64, slot of each embedding in the memory; None before the memory joins.
        total: scalar, the loss that was minimised.
        parts: what the total consists of: "batch", "memory" or both.
    """

    index: int
    lr: float
    embeddings: Tensor
    labels: Tensor
    ids: Tensor
    own: Tensor | None
    total: Tensor
    parts: dict[str, LossPart]


class Training(Protocol):
    """What callbacks and checkpoints use of :class:`xbmlib.training.trainer.Trainer`.

    Attributes:
        experiment: the hyper-parameters.
        data: training images, queries and gallery.
        device: where model, loss and memory are.
        ranks: the processes of the run; ``ranks.is_main`` on the one that writes files.
        model: images (B, C, H, W) to embeddings (B, D).
        loss: as :class:`xbmlib.losses.PairLoss`.
        memory: None without one.
        optimiser: Adam over the parameters of model and loss.
        schedule: of the learning rate.
        callbacks: all of the run, in the order in which they are called.
        step: updates made so far.
        seconds: spent on them, evaluations included.
        rows: what was logged, by table.
        tables: frames to keep with the finished run: "mined" and "neighbours".
        absent: states in the checkpoint of callbacks that are not among the run's, by name.
    """

    experiment: Experiment
    data: Retrieval
    device: torch.device
    ranks: Ranks
    model: nn.Module
    loss: nn.Module
    memory: Memory | None
    optimiser: Optimizer
    schedule: Schedule
    callbacks: Sequence[Callback]
    step: int
    seconds: float
    rows: dict[str, list[Row]]
    tables: dict[str, pd.DataFrame]
    absent: dict[str, Any]

    def log(self, table: str, row: Row) -> None:
        """Keep a row of your own table with the run and pass a copy of it to every callback."""

    def measured(self, table: str, row: Row) -> None:
        """The same for a table of the run itself: "step", "drift" or "evaluation"."""

    def embed(self, images: Images) -> Tensor:
        """Embeddings (n, D) of images, in evaluation mode; every rank has to call it."""
        ...

    def evaluate(self) -> dict[str, float]:
        """R@K and MAP@R on the test images; every rank has to call it."""
        ...


class Callback:
    """Watches a run; a subclass overrides what it needs, the rest does nothing.

    The run's numbers do not depend on its callbacks, so long as these leave model, optimiser,
    memory and torch's global generator alone. Under torchrun every rank calls them.

    What ``state_dict`` returns is checkpointed with the run. A run that was killed goes on from
    its latest checkpoint: steps after it are taken, and reported, again.

    Example:
        >>> class Losses(Callback):
        ...     def __init__(self):
        ...         self.values = []
        ...
        ...     def on_step(self, trainer, step):
        ...         self.values.append(step.total.item())
        >>> Losses().state_dict()
        {}
    """

    def on_start(self, trainer: Training) -> None:
        """Before the first step of this process, at ``trainer.step``: above 0 in a resumed run."""

    def on_step(self, trainer: Training, step: Step) -> None:
        """After every update."""

    def on_log(self, trainer: Training, table: str, row: Row) -> None:
        """After ``trainer.log(table, row)``, by whichever callback.

        The run itself logs the tables "step", "drift" and "evaluation", which are
        :attr:`xbmlib.training.store.Run.metrics`, ``drift`` and ``history``, and which no other
        callback may log to. Every row has its "step".
        """

    def on_evaluation(self, trainer: Training, row: Row) -> None:
        """After every evaluation; ``row`` holds "step", "R@1" and so on, recall in [0, 1]."""

    def on_end(self, trainer: Training) -> None:
        """After the last step."""

    def state_dict(self) -> dict[str, Any]:
        """What to resume from: tensors, numbers, strings, and lists and dicts of them.

        A module's ``state_dict()`` is one. Called before the first step too, so that what could
        not be stored is refused then.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from :meth:`state_dict`; not called where the checkpoint holds no such state."""
