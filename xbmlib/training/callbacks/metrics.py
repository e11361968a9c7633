"""Losses, valid pairs and learning rate, logged every few steps."""

from __future__ import annotations

import math

import torch

from xbmlib.training.callbacks.base import Callback, LossPart, Row, Step, Training


class Metrics(Callback):
    """Logs the table "step" every ``log_every`` steps.

    Its columns: step, lr, and of the batch and the memory <part>_loss, <part>_negatives and
    <part>_positives, the last two being numbers of valid pairs where the loss reports them.
    """

    def on_step(self, trainer: Training, step: Step) -> None:
        """Log the step if it is due.

        Raises:
            FloatingPointError: a loss that is not finite.
        """
        e = trainer.experiment
        if step.index % e.log_every:
            return
        if not math.isfinite(total := step.total.item()):
            raise FloatingPointError(f"the loss is {total} at step {step.index}: lower lr={e.lr}")
        parts = step.parts
        if "batch" not in parts:
            # Not minimised (``batch_loss=False``), but still of interest.
            with torch.no_grad():
                value = trainer.loss(step.embeddings, step.labels)
            parts = {"batch": LossPart.of(trainer.loss, value), **parts}
        row: Row = {"step": step.index, "lr": step.lr}
        for name, (value, valid) in parts.items():
            row[f"{name}_loss"] = value.item()
            if valid is not None:
                row[f"{name}_negatives"] = int(valid.negatives.sum())
                row[f"{name}_positives"] = int(valid.positives.sum())
        trainer.measured("step", row)
