"""Feature drift D(x, t; Δt) of Eq. 2 for fixed instances, and what it does to gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


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


def gradient_errors(
    model: nn.Module,
    images: Tensor,
    differences: Tensor,
    parts: Mapping[str, nn.Module] | None = None,
) -> dict[str, Tensor]:
    """||∂L/∂θ - ∂L̃/∂θ||² of Eq. 3 for pairs L = v_i · v_j, of which v_j alone has drifted.

    L - L̃ = v_i · (v_j - ṽ_j), and the memory takes no gradient: what is left is that of v_i.

    Args:
        model: f(x; θ), images to embeddings; used as it stands, so put it in evaluation mode.
        images: (n, C, H, W) float, the x_i.
        differences: (n, D), the v_j - ṽ_j; Lemma 1's ε is the square of their length.
        parts: modules of the model by name, whose own parameters are taken for θ besides.

    Returns:
        (n,), >= 0, in all of the parameters as "all", and in those of each part by its name.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    thetas = {"all": model, **(parts or {})}
    members = {name: {id(p) for p in module.parameters()} for name, module in thetas.items()}
    chosen = {
        name: torch.tensor([id(p) in ids for p in parameters], device=differences.device)
        for name, ids in members.items()
    }
    found = []
    with torch.enable_grad():
        for image, difference in zip(images, differences, strict=True):
            product = (model(image[None])[0] * difference).sum()
            gradients = torch.autograd.grad(product, parameters)
            found.append(torch.stack([g.square().sum() for g in gradients]))
    squares = torch.stack(found) if found else differences.new_zeros(0, len(parameters))
    return {name: squares[:, columns].sum(1) for name, columns in chosen.items()}


def _lemma(error: Tensor, epsilon: Tensor, suffix: str) -> dict[str, float]:
    """What Lemma 1 relates, on average over the pairs."""
    c = error / epsilon.clamp_min(torch.finfo(error.dtype).tiny)
    return {
        "epsilon": float(epsilon.mean()),
        f"error{suffix}": float(error.mean()),
        f"C{suffix}": float(c.mean()),
        f"below_one{suffix}": float((c < 1).double().mean()),
    }


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
    def record(
        self,
        step: int,
        embeddings: Tensor,
        errors: Callable[[Tensor], Mapping[str, Tensor]] | None = None,
    ) -> list[dict[str, float]]:
        """Take the probes' embeddings; give the drifts that they complete.

        Args:
            step: t, number of updates made.
            embeddings: (n, D) of the probes, always in the same order.
            errors: differences (n, D) of the probes' embeddings to gradient errors (p,), p <= n,
                of the first p of them, as "all" and of any parts (:func:`gradient_errors`); left
                out, none are measured.

        Returns:
            A row for each Δt: step, delta, drift (mean over the probes), spread (their
            standard deviation); with ``errors`` also epsilon and error (their means over the p),
            C (mean of error / epsilon) and below_one (share of the p in which that is under 1);
            those three of a part as error_<part> and so on.
        """
        self._held[step] = embeddings.detach().clone()
        rows = []
        for then in reversed(self._pairs.get(step, [])):
            drift = feature_drift(self._held[step], self._held[then])
            row = {
                "step": step,
                "delta": step - then,
                "drift": float(drift.mean()),
                "spread": float(drift.std(correction=0)),
            }
            if errors is not None:
                for part, error in errors(self._held[step] - self._held[then]).items():
                    row |= _lemma(error, drift[: len(error)], "" if part == "all" else f"_{part}")
            rows.append(row)
        self._held = {t: e for t, e in self._held.items() if self._last_use[t] > step}
        return rows

    def state_dict(self) -> dict[str, Any]:
        """The embeddings that later steps still need."""
        return {str(step): held for step, held in self._held.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        self._held = {int(step): held for step, held in state.items()}
