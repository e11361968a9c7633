"""What a run logs, as scalars for TensorBoard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from xbmlib.training.callbacks.base import Callback, Row, Training
from xbmlib.training.ranks import Memory

# What identifies a drift row rather than being measured, or is logged with each step.
_NO_CURVE = {"step", "delta", "lr"}


def ages(memory: Memory | None) -> dict[str, float]:
    """Mean and maximum of the memory's ``age``, in entries; nothing for an empty one.

    For a sharded memory, those of this rank's shard.
    """
    if memory is None or not len(memory):
        return {}
    age = memory.age
    return {"memory_age_mean": float(age.double().mean()), "memory_age_max": int(age.max())}


class TensorBoard(Callback):
    """Writes every logged row as scalars for TensorBoard, to disk row by row.

    Tags are "step/batch_loss", "step/memory_negatives", "step/lr", "step/memory_age_mean" and so
    on, "drift/drift_10" for Δt = 10, and "evaluation/R@1". A table of your own gives
    "<table>/<name>". A resumed run continues the curves in the folder.

    Args:
        folder: of this run alone; made when the run starts.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        # Takes seconds, and is an extra of the package.
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                f"TensorBoard in {folder}: {error}; install the extra (pip install "
                "'xbmlib[logging]'), or leave it out (unset XBM_TENSORBOARD)"
            ) from None
        self.folder = folder
        self._open = SummaryWriter
        self._writer: Any = None

    @classmethod
    def from_environment(cls, id: str) -> list[TensorBoard]:
        """One in ``$XBM_TENSORBOARD/id``, or none where the variable is not set.

        The variable reaches the runs that a notebook starts in other processes.
        """
        folder = os.environ.get("XBM_TENSORBOARD")
        return [cls(Path(folder) / id)] if folder else []

    def on_start(self, trainer: Training) -> None:
        """Open the file; what the folder holds of this step and later ones becomes void."""
        self._close()
        if not trainer.ranks.is_main:
            return
        self._writer = self._open(str(self.folder), purge_step=trainer.step)
        # Measured at this very step, before the checkpoint: those would not be logged again.
        for table, rows in trainer.rows.items():
            for row in rows:
                if row["step"] >= trainer.step:
                    self._write(table, row)

    def on_log(self, trainer: Training, table: str, row: Row) -> None:
        """Write one row, with the ages of the memory's entries beside those of a step."""
        if self._writer is not None:
            self._write(table, row | ages(trainer.memory) if table == "step" else row)

    def on_end(self, trainer: Training) -> None:
        """Close the file."""
        self._close()

    def _write(self, table: str, row: Row) -> None:
        suffix = f"_{row['delta']:g}" if "delta" in row else ""
        without = _NO_CURVE if table == "drift" else {"step"}
        for name, value in row.items():
            if name not in without:
                self._writer.add_scalar(f"{table}/{name}{suffix}", value, int(row["step"]))
        # Otherwise a killed run could lack rows that precede its checkpoint.
        self._writer.flush()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
