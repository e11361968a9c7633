"""Whether the memory of a run helps or hurts, measured every few steps."""

from __future__ import annotations

from typing import Any

from xbmlib.diagnose import Diagnosis
from xbmlib.queue import CrossBatchMemory
from xbmlib.training.callbacks.base import Callback, Step, Training


class Diagnose(Callback):
    """Logs the table "memory", and warns once where the memory pulls the embeddings together.

    Its columns are those of :class:`xbmlib.diagnose.Health`; :class:`xbmlib.diagnose.Diagnosis`
    decides when to warn. Only for a memory that is not sharded; other runs log nothing.

    Args:
        diagnosis: with thresholds and interval of your own; by default every 20 steps.

    Example:
        >>> from xbmlib.diagnose import Diagnosis
        >>> Diagnose(Diagnosis(every=50)).state_dict()
        {'steps': 0, 'warned': False, 'alike': []}
    """

    def __init__(self, diagnosis: Diagnosis | None = None) -> None:
        self.diagnosis = diagnosis or Diagnosis()

    def on_step(self, trainer: Training, step: Step) -> None:
        """Measure where that is due; steps before the memory joins count too."""
        if not isinstance(memory := trainer.memory, CrossBatchMemory):
            return
        part = step.parts.get("memory")
        found = self.diagnosis(
            step.embeddings,
            step.labels,
            memory,
            valid=part.valid if part else None,
            ids=step.ids,
        )
        if found:
            trainer.log("memory", found.row())

    def state_dict(self) -> dict[str, Any]:
        """Of the diagnosis."""
        return self.diagnosis.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from :meth:`state_dict`."""
        self.diagnosis.load_state_dict(state)
