"""Feature drift D(x, t; Δt) of Eq. 2, for a fixed set of instances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


def feature_drift(now: Tensor, then: Tensor) -> Tensor:
    """D(x, t; Δt) = ||f(x; θ^t) - f(x; θ^(t-Δt))||², Eq. 2.

    Args:
        now: (n, D) embeddings of the instances at step t.
        then: (n, D) embeddings of the same instances at step t - Δt.

    Returns:
        (n,), in [0, 4] for unit vectors.

    Raises:
        ValueError: shapes that differ.
    """
    if now.shape != then.shape or now.ndim != 2:
        raise ValueError(f"shapes {tuple(now.shape)}, {tuple(then.shape)}: give (n, D) twice")
    return (now - then).square().sum(1)


class DriftProbe:
    """Measures the drift at chosen steps, embedding the probes only when that is needed.

    Ask :meth:`due` at each step, 0 included; where it says so, embed the probes with the model
    after that many updates and :meth:`record` them. Embeddings are dropped after their last use.

    Args:
        deltas: the Δt, in steps (>= 1).
        times: the steps t at which to measure; those below a Δt measure the others only.

    Raises:
        ValueError: a Δt below 1.
    """

    def __init__(self, deltas: Sequence[int], times: Iterable[int]) -> None:
        if any(delta < 1 for delta in deltas):
            raise ValueError(f"deltas={tuple(deltas)}: Δt is at least one step")
        pairs = {(t, t - delta) for t in times for delta in deltas if t >= delta}
        self._pairs = {t: sorted({u for s, u in pairs if s == t}) for t, _ in pairs}
        self._last_use: dict[int, int] = {}
        for t, then in pairs:
            self._last_use[t] = max(self._last_use.get(t, 0), t)
            self._last_use[then] = max(self._last_use.get(then, 0), t)
        self._held: dict[int, Tensor] = {}

    def due(self, step: int) -> bool:
        """Whether the probes have to be embedded after ``step`` updates."""
        return step in self._last_use

    @torch.no_grad()
    def record(self, step: int, embeddings: Tensor) -> list[dict[str, float]]:
        """Take the probes' embeddings; give the drifts that they complete.

        Args:
            step: t, number of updates made.
            embeddings: (n, D) of the probes, always in the same order.

        Returns:
            A row for each Δt: step, delta, drift (mean over the probes), spread (their
            standard deviation).
        """
        self._held[step] = embeddings.detach().clone()
        rows = []
        for then in reversed(self._pairs.get(step, [])):
            drift = feature_drift(self._held[step], self._held[then])
            rows.append(
                {
                    "step": step,
                    "delta": step - then,
                    "drift": float(drift.mean()),
                    "spread": float(drift.std(correction=0)),
                }
            )
        self._held = {t: e for t, e in self._held.items() if self._last_use[t] > step}
        return rows

    def state_dict(self) -> dict[str, Any]:
        """The embeddings that later steps still need."""
        return {str(step): held for step, held in self._held.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        self._held = {int(step): held for step, held in state.items()}
