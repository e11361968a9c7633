"""Progress of long work: a bar in a terminal or notebook, else a plain line now and then."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Self

SECONDS_BETWEEN_LINES = 20.0


def surface() -> str:
    """Where output is read: "jupyter" (a notebook in a Jupyter server), "terminal", or "log".

    A Jupyter server names the notebook's session in the kernel's environment; papermill, which
    starts kernels too, does not.
    """
    if "JPY_SESSION_NAME" in os.environ:
        return "jupyter"
    return "terminal" if sys.stderr.isatty() else "log"


class Progress:
    """Counts steps towards a total; used as a context manager.

    Args:
        total: total number of steps.
        what: what is being done, in a word or two.
    """

    def __init__(self, total: int, what: str) -> None:
        self.total, self.what = total, what
        self.done, self._began, self._reported = 0, time.monotonic(), time.monotonic()
        self._bar = None
        if (where := surface()) != "log":
            from tqdm import tqdm
            from tqdm.notebook import tqdm as notebook_tqdm

            kind = notebook_tqdm if where == "jupyter" else tqdm
            self._bar = kind(total=total, desc=what, unit="step")

    def update(self, steps: int) -> None:
        """Add completed steps."""
        self.done += steps
        if self._bar is not None:
            self._bar.update(steps)
        elif time.monotonic() - self._reported >= SECONDS_BETWEEN_LINES:
            self._reported = time.monotonic()
            elapsed = self._reported - self._began
            left = elapsed / max(self.done, 1) * (self.total - self.done)
            print(
                f"{self.what}: {self.done:,} of {self.total:,} steps, "
                f"{elapsed / 60:.1f} min, about {left / 60:.1f} left",
                flush=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
