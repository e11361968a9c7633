"""Feature drift D(x, t; Δt) of Eq. 2 on fixed probes, and the gradient error that it causes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xbmlib.integers import whole_number


def feature_drift(now: Tensor, then: Tensor) -> Tensor:
    """D(x, t; Δt) = ||f(x; θ^t) - f(x; θ^(t-Δt))||², Eq. 2.

    Args:
        now: (n, D) embeddings of the instances at step t.
        then: (n, D) embeddings of the same instances at step t - Δt.

    Returns:
        (n,), in [0, 4] for embeddings of norm 1; in at least float32.

    Raises:
        ValueError: shapes that differ, or embeddings that are not floating point.

    Example:
        >>> import torch
        >>> feature_drift(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]]))
        tensor([0.8000])
    """
    for name, value in (("now", now), ("then", then)):
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} of type {type(value).__name__}: give a tensor")
        if not value.is_floating_point():
            raise ValueError(f"{name} of {value.dtype}: give embeddings in floating point")
    if now.shape != then.shape or now.ndim != 2:
        raise ValueError(f"shapes {tuple(now.shape)}, {tuple(then.shape)}: give (n, D) twice")
    dtype = torch.promote_types(now.dtype, torch.float32)
    return (now.to(dtype) - then.to(dtype)).square().sum(1)


def gradient_errors(
    model: nn.Module,
    images: Tensor,
    differences: Tensor,
    parts: Mapping[str, nn.Module] | None = None,
) -> dict[str, Tensor]:
    """||∂L/∂θ - ∂L̃/∂θ||² of Eq. 3 for pairs L = v_i · v_j, of which v_j alone has drifted.

    L - L̃ = v_i · (v_j - ṽ_j), and no gradient flows through the memory: what remains is the
    gradient through v_i.

    Args:
        model: f(x; θ), images to embeddings, in evaluation mode.
        images: (n, C, H, W) float, the x_i.
        differences: (n, D), the v_j - ṽ_j; their squared norm is Lemma 1's ε.
        parts: modules of the model by name; each is taken for θ in addition to the whole model.

    Returns:
        (n,) >= 0 over all parameters as "all", and over those of each part under its name.

    Raises:
        ValueError: not as many images as differences.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2, bias=False))
        >>> errors = gradient_errors(net, torch.ones(1, 1, 2, 2), torch.tensor([[0.6, 0.8]]))
        >>> round(float(errors["all"]), 3)  # of image and difference: 4 · (0.36 + 0.64)
        4.0
    """
    if len(images) != len(differences):
        raise ValueError(f"{len(images)} images, {len(differences)} differences: give as many")
    parameters = [p for p in model.parameters() if p.requires_grad]
    thetas = {"all": model, **(parts or {})}
    members = {name: {id(p) for p in module.parameters()} for name, module in thetas.items()}
    columns = {  # (parameters,) bool
        name: torch.tensor([id(p) in ids for p in parameters], device=differences.device)
        for name, ids in members.items()
    }
    rows = []
    with torch.enable_grad():
        for image, difference in zip(images, differences, strict=True):
            product = (model(image[None])[0] * difference).sum()
            # That of a parameter which the model does not use is 0.
            gradients = torch.autograd.grad(product, parameters, materialize_grads=True)
            rows.append(torch.stack([_squared_norm(g) for g in gradients]))
    squares = torch.stack(rows) if rows else differences.new_zeros(0, len(parameters))
    return {name: squares[:, mask].sum(1) for name, mask in columns.items()}


def _squared_norm(gradient: Tensor) -> Tensor:
    # The squares of a half-precision gradient are beyond its range.
    return gradient.to(torch.promote_types(gradient.dtype, torch.float32)).square().sum()


def _lemma(error: Tensor, epsilon: Tensor, suffix: str) -> dict[str, float]:
    """The quantities that Lemma 1 relates, averaged over the pairs."""
    c = error / epsilon.clamp_min(torch.finfo(error.dtype).tiny)
    return {
        "epsilon": float(epsilon.mean()),
        f"error{suffix}": float(error.mean()),
        f"C{suffix}": float(c.mean()),
        f"below_one{suffix}": float((c < 1).double().mean()),
    }


class DriftProbe:
    """Measures the drift D(x, t; Δt) at chosen steps (Fig. 3) from the fewest embeddings.

    Call :meth:`due` at each step, 0 included; where it is true, embed the probes with the model
    after that many updates and :meth:`record` them. Embeddings are dropped after their last use.

    Args:
        deltas: the Δt, in steps (>= 1).
        times: the steps t at which to measure, for each Δt <= t.

    Raises:
        ValueError: a Δt below 1, or a step that is no whole number of at least 0.

    Example:
        >>> import torch
        >>> probe = DriftProbe(deltas=[1], times=[2])
        >>> [step for step in range(4) if probe.due(step)]
        [1, 2]
        >>> probe.record(1, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        []
        >>> probe.record(2, torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
        [{'step': 2, 'delta': 1, 'drift': 1.0, 'spread': 1.0}]
    """

    def __init__(self, deltas: Sequence[int], times: Iterable[int]) -> None:
        deltas, times = tuple(deltas), [whole_number("a step of times", t, 0) for t in times]
        if any(whole_number("a Δt of deltas", delta) < 1 for delta in deltas):
            raise ValueError(f"deltas={deltas}: Δt is at least one step")
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
        """Store the probes' embeddings and return the drifts that they complete.

        Args:
            step: t, number of updates made.
            embeddings: (n, D) of the probes, always in the same order.
            errors: a function from the differences (n, D) of the probes' embeddings to the gradient
                errors (p,), p <= n, of the first p of them, as "all" and for any parts
                (:func:`gradient_errors`); without it, none are measured.

        Returns:
            One row for each Δt: step, delta, drift (mean over the probes), spread (their
            standard deviation); with ``errors`` also epsilon and error (their means over the p),
            C (mean of error / epsilon) and below_one (fraction of the p in which that is below 1);
            these three for a part as error_<part> and so on.

        Raises:
            ValueError: a step that is not due, one that needs a step which was not recorded, or
                embeddings of another shape than before. The probe stays as it was.
        """
        self._check(step, embeddings)
        now, rows = embeddings.detach().clone(), []
        for then in reversed(self._pairs.get(step, [])):
            drift = feature_drift(now, self._held[then])
            row = {
                "step": step,
                "delta": step - then,
                "drift": float(drift.mean()),
                "spread": float(drift.std(correction=0)),
            }
            if errors is not None:
                for part, error in errors(now - self._held[then]).items():
                    row |= _lemma(error, drift[: len(error)], "" if part == "all" else f"_{part}")
            rows.append(row)
        held = self._held | {step: now}
        self._held = {t: e for t, e in held.items() if self._last_use[t] > step}
        return rows

    def _check(self, step: int, embeddings: Tensor) -> None:
        """Refuse what :meth:`record` could not compare or use."""
        if not self.due(step):
            raise ValueError(f"step={step} is not due: record where due(step) is true")
        for then in self._pairs.get(step, []):
            if then not in self._held:
                raise ValueError(
                    f"step={step} is compared with step {then}, which was not recorded: record "
                    "wherever due(step) is true"
                )
        for value in (embeddings, *self._held.values()):
            if value.ndim != 2 or value.shape != embeddings.shape:
                raise ValueError(
                    f"embeddings of shape {tuple(embeddings.shape)}: give (n, D) of the same "
                    f"probes at every step, here {tuple(value.shape)}"
                )

    def state_dict(self) -> dict[str, Any]:
        """The embeddings that later steps still need."""
        return {str(step): held for step, held in self._held.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the embeddings from a :meth:`state_dict`.

        Raises:
            ValueError: the state of a probe with other Δt or steps. This one stays as it was.
        """
        unknown = sorted(state.keys() - {str(step) for step in self._last_use})
        if unknown:
            raise ValueError(
                f"a state of step {', '.join(unknown)}, at which this probe does not measure: make "
                "it with the same deltas and times"
            )
        shapes = {getattr(held, "shape", None) for held in state.values()}
        if len(shapes) > 1 or any(shape is None or len(shape) != 2 for shape in shapes):
            raise ValueError("a state of other than equally many (n, D): give it as it was saved")
        self._held = {int(step): held for step, held in state.items()}
