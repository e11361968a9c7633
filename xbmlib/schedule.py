"""Learning rates over a run."""

from __future__ import annotations

import math

from xbmlib.config import Experiment


def learning_rate(e: Experiment, step: float) -> float:
    """Learning rate at a step, in (0, lr]."""
    if e.schedule == "cosine":
        return e.lr * (1 + math.cos(math.pi * min(step, e.steps) / (e.steps + 1))) / 2
    if e.schedule == "step":
        return e.lr * 0.1 ** ((step >= 0.6 * e.steps) + (step >= 0.85 * e.steps))
    return e.lr
