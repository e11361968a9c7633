"""Whether a memory helps or hurts, seen while training: similarities, valid negatives, age, drift.

A memory hurts where the embeddings of a batch are pushed away from what the memory holds and, all
of them in one direction, towards each other: the batch's negatives stay similar, at worst with a
mean near 1, and a large share of the memory's negatives stays valid, so that their gradient
outweighs that of the few positives. :class:`Diagnosis` warns in time; R@1 would show it at the end.
"""

from __future__ import annotations

import warnings
from collections import deque
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xbmlib.integers import as_labels, real_number, whole_number
from xbmlib.losses import ValidPairs
from xbmlib.queue import CrossBatchMemory

# Set and judged on separate runs: `python -m benchmarks.diagnosis`.
SIMILARITY = 0.4
SHARE = 0.05
# Checks in a row, so that neither a fresh network nor a single batch is reported.
PATIENCE = 5

REMEDY = (
    "warm up for longer (start), keep the batch's loss (batch_loss=True), lower the learning rate "
    "or raise λ, and compare R@1 on held-out classes with that of a run with no memory"
)


class CollapseWarning(UserWarning):
    """The memory makes the embeddings of different classes alike; the message has the remedy.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("error", CollapseWarning)  # end such a run
        >>> warnings.simplefilter("default", CollapseWarning)
    """


class Health(NamedTuple):
    """What one batch and the memory show; None where there is no such pair or no such count.

    Attributes:
        batch_similarity: mean S_ij of the batch's negative pairs, in [-1, 1].
        memory_similarity: likewise of its negative pairs with the memory.
        valid_share: share of the latter that have a gradient, in [0, 1].
        age_mean: mean age of the memory's entries, in entries: how many have been enqueued since.
            A batch of any size may have been; where all are of m, age // m is the number of steps.
        age_max: age of the oldest entry, likewise.
        drift: mean D(x, t; Δt) of Eq. 2 over the images of the batch that the memory also holds
            from an earlier step, in [0, 4]; augmentation counts as drift.
        drift_age: mean number of entries that were enqueued between the two embeddings of these
            pairs: some m Δt at a batch size of m.

    Example:
        >>> Health(0.9, 0.5, None, 31.5, 63, None, None).row()
        {'batch_similarity': 0.9, 'memory_similarity': 0.5, 'age_mean': 31.5, 'age_max': 63}
    """

    batch_similarity: float | None
    memory_similarity: float | None
    valid_share: float | None
    age_mean: float
    age_max: int
    drift: float | None
    drift_age: float | None

    def row(self) -> dict[str, float]:
        """The values that there are, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


@torch.no_grad()
def health(
    anchors: Tensor,
    labels: Tensor,
    memory: CrossBatchMemory,
    *,
    valid: ValidPairs | None = None,
    ids: Tensor | None = None,
) -> Health:
    """Measure a batch against the memory that it was enqueued into.

    Costs one product of the batch with itself and one pass over the memory's entries, whose
    similarities are summed without being listed.

    Args:
        anchors: (m, D) embeddings of norm 1.
        labels: (m,) integers of any dtype, or bool.
        memory: not empty.
        valid: pairs with a gradient in the loss against the memory: its ``valid`` after the call.
        ids: (m,) as enqueued, that name the images; without them there is no drift.

    Raises:
        ValueError: shapes that do not agree, or an empty memory.

    Example:
        >>> import torch
        >>> from xbmlib import CrossBatchMemory
        >>> memory, labels = CrossBatchMemory(size=8, dim=2), torch.tensor([0, 1])
        >>> for anchors in (torch.eye(2), torch.tensor([[1.0, 0.0], [0.6, 0.8]])):
        ...     slots = memory.enqueue(anchors, labels, ids=labels)
        >>> found = health(anchors, labels, memory, ids=labels)
        >>> round(found.batch_similarity, 2), round(found.memory_similarity, 2)
        (0.6, 0.45)
        >>> found.age_max, round(found.drift, 2), found.drift_age
        (3, 0.2, 2.0)
    """
    if not isinstance(memory, CrossBatchMemory):
        raise ValueError(
            f"memory of type {type(memory).__name__}: give a CrossBatchMemory, say XBM's .memory"
        )
    batch = memory.check(anchors, labels, ids)
    if not batch or not len(memory):
        raise ValueError(
            f"{batch} embeddings and a memory of {len(memory)}: enqueue a batch, then measure"
        )
    labels = as_labels("labels", labels).to(memory.labels.device)
    v = anchors.to(memory.features.device, torch.promote_types(anchors.dtype, torch.float32))
    within = labels[:, None] != labels
    age = memory.age
    with torch.autocast(v.device.type, enabled=False):
        similarities = v @ v.T
        total, pairs = _negatives(v, labels, memory)
        drift, drift_age = (None, None) if ids is None else _drift(v, ids, memory, age)
    return Health(
        batch_similarity=float(similarities[within].mean()) if within.any() else None,
        memory_similarity=total / pairs if pairs else None,
        valid_share=int(valid.negatives.sum()) / pairs if valid and pairs else None,
        age_mean=float(age.double().mean()),
        age_max=int(age.max()),
        drift=drift,
        drift_age=drift_age,
    )


def _negatives(v: Tensor, labels: Tensor, memory: CrossBatchMemory) -> tuple[float, int]:
    """Sum of S_ij over the negative pairs with the memory, and their number.

    The sum over all pairs is a product of two sums, from which the few positive pairs are taken.
    """
    entries = memory.embeddings.sum(0, dtype=v.dtype)  # (D,)
    places = torch.isin(memory.labels, labels).nonzero()[:, 0]
    positive = labels[:, None] == memory.labels[places]  # (m, n)
    similarities = v @ memory.embeddings[places].to(v.dtype).T
    total = v.sum(0) @ entries - similarities[positive].sum()
    return float(total), v.shape[0] * len(memory) - int(positive.sum())


def _drift(
    v: Tensor, ids: Tensor, memory: CrossBatchMemory, age: Tensor
) -> tuple[float | None, float | None]:
    """Mean squared distance of the batch's images from their earlier entries; mean distance in the
    queue."""
    ids = as_labels("ids", ids).to(memory.ids.device)
    # The batch is the latest, its last row of age 0.
    earlier = torch.isin(memory.ids, ids) & (age >= len(ids)) & (memory.ids >= 0)
    places = earlier.nonzero()[:, 0]
    rows, columns = (ids[:, None] == memory.ids[places]).nonzero(as_tuple=True)
    if not len(rows):
        return None, None
    places = places[columns]
    squares = (v[rows] - memory.embeddings[places].to(v.dtype)).square().sum(1)
    return float(squares.mean()), float((age[places] - (len(ids) - 1 - rows)).double().mean())


class Diagnosis:
    """Warns once, with the remedy, when a memory makes the embeddings of all classes alike.

    Call it in each step of your own loop, after the loss; most calls only count. It warns where
    each of the last ``patience`` checks found the mean similarity of the batch's negatives above
    ``similarity`` and the share of valid negatives in the memory above ``share``. Where the loss
    does not report valid pairs, the similarity decides alone.

    The thresholds were set with the contrastive loss at batch 16 and small networks from scratch
    (``results/diagnosis.csv``); in another setting compare with a run with no memory first.

    Args:
        every: steps between two checks, at least 1.
        similarity: of the batch's negatives, in [-1, 1].
        share: of valid negatives, in [0, 1].
        patience: number of checks, at least 1.

    Attributes:
        steps: number of calls so far.
        warned: whether it has warned.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> import torch
        >>> from torch.nn.functional import normalize
        >>> from xbmlib import XBM, ContrastiveLoss
        >>> net, diagnosis = torch.nn.Linear(32, 8), Diagnosis(every=2)
        >>> xbm = XBM(ContrastiveLoss(), size=100, dim=8, start=2)
        >>> for _ in range(6):
        ...     images, labels = torch.randn(16, 32), torch.arange(16) // 4
        ...     anchors = normalize(net(images))
        ...     xbm(anchors, labels).backward()
        ...     found = diagnosis(anchors, labels, xbm.memory, valid=xbm.loss.valid)
        ...     if found:
        ...         print(diagnosis.steps, found.age_max)
        4 31
        6 63
        >>> diagnosis.warned
        False
    """

    def __init__(
        self,
        every: int = 20,
        *,
        similarity: float = SIMILARITY,
        share: float = SHARE,
        patience: int = PATIENCE,
    ) -> None:
        self.every = whole_number("every", every, 1)
        similarity, share = real_number("similarity", similarity), real_number("share", share)
        if not -1 <= similarity <= 1:
            raise ValueError(f"similarity={similarity!r}: a mean of cosines, give -1 to 1")
        if not 0 <= share <= 1:
            raise ValueError(f"share={share!r}: a share of pairs, give 0 to 1")
        self.similarity, self.share = similarity, share
        self.steps, self.warned = 0, False
        self._alike: deque[bool] = deque(maxlen=whole_number("patience", patience, 1))

    def __call__(
        self,
        anchors: Tensor,
        labels: Tensor,
        memory: CrossBatchMemory,
        *,
        valid: ValidPairs | None = None,
        ids: Tensor | None = None,
    ) -> Health | None:
        """Count a step; where a check is due, measure, and warn if that is due too.

        Args:
            anchors, labels, memory, valid, ids: as for :func:`health`; the memory may still be
                empty.

        Returns:
            What was measured; None between two checks, and while the memory is empty.

        Raises:
            ValueError: as :func:`health`.

        Warns:
            CollapseWarning: once, when the memory pulls the embeddings together.
        """
        self.steps += 1
        if self.steps % self.every or not len(memory):
            return None
        found = health(anchors, labels, memory, valid=valid, ids=ids)
        self._alike.append(self._is_alike(found))
        if not self.warned and len(self._alike) == self._alike.maxlen and all(self._alike):
            self.warned = True
            warnings.warn(_message(found, self.steps), CollapseWarning, stacklevel=2)
        return found

    def _is_alike(self, found: Health) -> bool:
        if found.batch_similarity is None or found.batch_similarity <= self.similarity:
            return False
        return found.valid_share is None or found.valid_share > self.share

    def state_dict(self) -> dict[str, Any]:
        """What to resume from: the number of steps, the latest checks, whether it has warned."""
        return {"steps": self.steps, "warned": self.warned, "alike": list(self._alike)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from :meth:`state_dict`.

        Raises:
            ValueError: another state, which changes nothing.
        """
        try:
            steps, warned = whole_number("steps", state["steps"], 0), bool(state["warned"])
            alike = [bool(value) for value in state["alike"]]
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"a state of {type(state).__name__} ({error!r}): give that of a Diagnosis"
            ) from None
        self.steps, self.warned = steps, warned
        self._alike.clear()
        self._alike.extend(alike)


def _message(found: Health, steps: int) -> str:
    seen = f"the batch's negatives have a mean similarity of {found.batch_similarity:.2f}"
    if found.valid_share is not None:
        seen += f" and {found.valid_share:.0%} of the memory's negatives are valid"
    return f"step {steps}: {seen}: the memory pulls the embeddings together; {REMEDY}"
