"""Learning rates over a run."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from xbmlib.training.experiment import Experiment

# The released code's: unless R@1 rises by a factor of 1.001 within 5 evaluations, the rate is
# divided by 10, but not below a 20th of the first; the 2 evaluations after that do not count.
PLATEAU: dict[str, Any] = {
    "mode": "max", "factor": 0.1, "patience": 4, "threshold": 1e-3, "cooldown": 2,
}  # fmt: skip
FLOOR = 1 / 20


class Schedule:
    """The learning rate of a run's optimiser.

    Args:
        experiment: names the schedule.
        optimiser: its learning rate is set.

    Example:
        >>> import torch
        >>> optimiser = torch.optim.Adam(torch.nn.Linear(2, 2).parameters())
        >>> e = Experiment(steps=100, lr=4e-4, schedule="constant")
        >>> Schedule(e, optimiser).set(0), optimiser.param_groups[0]["lr"]
        (0.0004, 0.0004)
    """

    def __init__(self, experiment: Experiment, optimiser: Optimizer) -> None:
        self.experiment, self.optimiser = experiment, optimiser
        self.plateau = None
        if experiment.schedule == "plateau":
            self.plateau = ReduceLROnPlateau(optimiser, min_lr=experiment.lr * FLOOR, **PLATEAU)

    def set(self, step: int) -> float:
        """Set the rate for a step, and return it."""
        if self.plateau is None:
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate(self.experiment, step)
        return self.rate(step)

    def rate(self, step: int) -> float:
        """The rate at a step; with "plateau", the present one."""
        if self.plateau is None:
            return learning_rate(self.experiment, step)
        return self.optimiser.param_groups[0]["lr"]

    def observe(self, recall: float) -> None:
        """Record an evaluation's R@1, a fraction in [0, 1]."""
        if self.plateau is not None:
            self.plateau.step(recall)

    def state_dict(self) -> dict[str, Any]:
        """The history of :meth:`observe`; the rate itself is in the optimiser's state."""
        return {} if self.plateau is None else self.plateau.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from :meth:`state_dict`.

        Raises:
            ValueError: the state of another schedule, which leaves this one as it was.
        """
        wanted = self.state_dict()
        kinds, found = ({k: type(v) for k, v in part.items()} for part in (wanted, state))
        if kinds != found:
            wrong = sorted(dict(kinds.items() ^ found.items()))
            raise ValueError(
                f"state of another learning-rate schedule ({', '.join(wrong)} differ): give the "
                f'state_dict() of schedule="{self.experiment.schedule}"'
            )
        if self.plateau is not None:
            self.plateau.load_state_dict(state)


def learning_rate(e: Experiment, step: float) -> float:
    """Learning rate at a step, in (0, lr], of a schedule that does not depend on results."""
    if e.schedule == "cosine":
        return e.lr * (1 + math.cos(math.pi * min(step, e.steps) / (e.steps + 1))) / 2
    if e.schedule == "step":
        return e.lr * 0.1 ** ((step >= 0.6 * e.steps) + (step >= 0.85 * e.steps))
    return e.lr
