"""Feature drift (Eq. 2) and the gradient error that it causes (Lemma 1), over a run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xbmlib import backbones
from xbmlib.datasets import Images
from xbmlib.datasets.transforms import to_float
from xbmlib.drift import DriftProbe, gradient_errors
from xbmlib.training.callbacks.base import Callback, Step, Training
from xbmlib.training.experiment import Experiment

TIMES = 48  # evenly spaced steps at which the drift is measured


class DriftProbes(Callback):
    """Logs the table "drift", as :class:`xbmlib.drift.DriftProbe` measures it, with the rate "lr".

    Args:
        e: names Δt, the number of probes and that of the pairs of Lemma 1.
        train: the images that the probes are sampled from.
    """

    def __init__(self, e: Experiment, train: Images) -> None:
        every = max(1, e.steps // TIMES)
        self.probe = DriftProbe(e.drift, range(0, e.steps + 1, every))
        generator = torch.Generator("cpu").manual_seed(e.seed)
        order = torch.randperm(len(train), generator=generator, device="cpu")
        self.images = train.select(order[: e.probes])

    def on_start(self, trainer: Training) -> None:
        """Embed the probes before the first update; a resumed run has done so."""
        if trainer.step == 0:
            self._measure(trainer)

    def on_step(self, trainer: Training, step: Step) -> None:
        """Embed the probes where that is due, and log the drifts that it completes."""
        self._measure(trainer)

    def _measure(self, trainer: Training) -> None:
        if not self.probe.due(trainer.step):
            return

        def errors(differences: Tensor) -> dict[str, Tensor]:
            return self._gradient_errors(trainer, differences)

        rows = self.probe.record(
            trainer.step,
            trainer.embed(self.images),
            errors if trainer.experiment.lemma else None,
        )
        for row in rows:
            trainer.measured("drift", row | {"lr": trainer.schedule.rate(trainer.step)})

    def _gradient_errors(self, trainer: Training, differences: Tensor) -> dict[str, Tensor]:
        """Lemma 1, the x_i of each v_j being the next probe."""
        count = trainer.experiment.lemma
        rows = torch.arange(len(self.images), device="cpu").roll(-1)[:count]
        images = to_float(self.images.fetch(rows).to(trainer.device))
        model = trainer.model
        # Which part of a custom model would be its head is not known.
        parts = {"head": model.head} if isinstance(model, backbones.Embedder) else {}
        model.eval()
        errors = gradient_errors(model, images, differences[:count], parts)
        model.train()
        return errors

    def state_dict(self) -> dict[str, Any]:
        """The embeddings of the probes that later steps are compared with."""
        return self.probe.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from :meth:`state_dict`."""
        self.probe.load_state_dict(state)
