"""What can be watched of a run while it goes on, and TensorBoard as one that watches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from xbmlib.training.ranks import Memory

# Called with a kind and a row of numbers, of which "step" is always one:
#   "start"       once, before the first step of this process: what was told of this step and of
#                 later ones, by a process that was killed since, is void and will be told again;
#   "step"        a row of Run.metrics, with the ages of the memory's entries beside it;
#   "drift"       a row of Run.drift;
#   "evaluation"  a row of Run.history.
Observe = Callable[[str, Mapping[str, float]], None]

# What identifies a drift row rather than being measured, or is told with each step.
_NO_CURVE = {"step", "delta", "lr"}


def ages(memory: Memory | None) -> dict[str, float]:
    """Mean and maximum of the memory's ``age``, in entries; nothing of an empty one.

    Of a memory in shards, those of this process's own.
    """
    if memory is None or not len(memory):
        return {}
    age = memory.age
    return {"memory_age_mean": float(age.double().mean()), "memory_age_max": int(age.max())}


class TensorBoard:
    """Writes what it is told of a run as scalars for TensorBoard, to disk row by row.

    Tags are "step/batch_loss", "step/memory_negatives", "step/lr", "step/memory_age_mean" and so
    on, "drift/drift_10" for Δt = 10, and "evaluation/R@1". A resumed run goes on in the folder.

    Args:
        folder: of this one run; made when it is first told something.

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

    def __call__(self, kind: str, row: Mapping[str, float]) -> None:
        """Write one row; see :data:`Observe`."""
        step = int(row["step"])
        if kind == "start" or self._writer is None:
            self.close()
            # Readers then drop what the folder holds of this step and of later ones.
            self._writer = self._open(str(self.folder), purge_step=step)
        suffix = f"_{row['delta']:g}" if "delta" in row else ""
        without = _NO_CURVE if kind == "drift" else {"step"}
        for name, value in row.items():
            if name not in without:
                self._writer.add_scalar(f"{kind}/{name}{suffix}", value, step)
        # Else a killed run would lack rows that precede its checkpoint, and not tell them again.
        self._writer.flush()

    def close(self) -> None:
        """Close the file; what is told later goes to another in the same folder."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def observing(observe: Observe | None, id: str) -> Iterator[Observe | None]:
    """The observer given, or else a :class:`TensorBoard` in ``$XBM_TENSORBOARD/id``, where set.

    The variable reaches the runs that a notebook starts in processes of their own.
    """
    folder = os.environ.get("XBM_TENSORBOARD")
    if observe is not None or not folder:
        yield observe
        return
    with TensorBoard(Path(folder) / id) as board:
        yield board
