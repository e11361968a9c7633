"""What a gradient in closed form cannot give: its own derivative."""

from __future__ import annotations

import torch


def refuse_second_derivatives(what: str) -> None:
    """Refuse a backward pass that is to be differentiated in turn; call it in that pass.

    The gradient would count as a constant there, and second derivatives be wrong without a sign
    of it. PyTorch's ``once_differentiable`` notices only where the incoming gradient itself has a
    gradient, which that of a scalar loss has not.

    Raises:
        RuntimeError: the pass was started with ``create_graph=True``.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"second derivatives are not supported: the gradient of {what} is computed in closed "
            "form; leave out create_graph=True, or put a loss of pytorch-metric-learning into "
            "MetricLearningLoss, in one process"
        )
