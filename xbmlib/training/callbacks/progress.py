"""Progress of a run, for a bar or a log."""

from __future__ import annotations

from collections.abc import Callable

from xbmlib.training.callbacks.base import Callback, Step, Training

Progress = Callable[[int], None]  # called with the number of steps completed since the last call


class ReportProgress(Callback):
    """Reports completed steps, those of a checkpoint all at once.

    Args:
        report: called with the number of steps completed since the last call.
    """

    def __init__(self, report: Progress) -> None:
        self.report = report

    def on_start(self, trainer: Training) -> None:
        """Report the steps that the checkpoint brings."""
        self.report(trainer.step)

    def on_step(self, trainer: Training, step: Step) -> None:
        """Report one step."""
        self.report(1)
