"""Learning rates over a run."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from xbmlib.training.experiment import Experiment

# The released code: R@1 has to rise by a thousandth of itself within 5 evaluations, or the rate
# falls by the default factor of 10, down to a 20th; after a fall 2 evaluations are skipped.
PLATEAU: dict[str, Any] = {
    "mode": "max", "factor": 0.1, "patience": 4, "threshold": 1e-3, "cooldown": 2,
}  # fmt: skip
FLOOR = 1 / 20


class Schedule:
    """The learning rate of a run's optimiser.

    Args:
        experiment: names the schedule.
        optimiser: whose rate it sets.
    """

    def __init__(self, experiment: Experiment, optimiser: Optimizer) -> None:
        self.experiment, self.optimiser = experiment, optimiser
        self.plateau = None
        if experiment.schedule == "plateau":
            self.plateau = ReduceLROnPlateau(optimiser, min_lr=experiment.lr * FLOOR, **PLATEAU)

    def set(self, step: int) -> float:
        """Set the rate for a step, and tell it."""
        if self.plateau is None:
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate(self.experiment, step)
        return self.rate(step)

    def rate(self, step: int) -> float:
        """The rate at a step; on a plateau's schedule, the present one."""
        if self.plateau is None:
            return learning_rate(self.experiment, step)
        return self.optimiser.param_groups[0]["lr"]

    def observe(self, recall: float) -> None:
        """Take note of an evaluation's R@1, a fraction in [0, 1]."""
        if self.plateau is not None:
            self.plateau.step(recall)

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`observe` has seen; the rate itself is the optimiser's."""
        return {} if self.plateau is None else self.plateau.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        if self.plateau is not None:
            self.plateau.load_state_dict(state)


def learning_rate(e: Experiment, step: float) -> float:
    """Learning rate at a step, in (0, lr], of a schedule that does not look at results."""
    if e.schedule == "cosine":
        return e.lr * (1 + math.cos(math.pi * min(step, e.steps) / (e.steps + 1))) / 2
    if e.schedule == "step":
        return e.lr * 0.1 ** ((step >= 0.6 * e.steps) + (step >= 0.85 * e.steps))
    return e.lr
