"""The hardest pairs of single anchors, from the batch and from the memory, for Fig. 5."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from xbmlib.losses import PairLoss
from xbmlib.queue import CrossBatchMemory
from xbmlib.training.callbacks.base import Callback, Step, Training

TOP = 6  # pairs of each anchor and source


class MinedPairs(Callback):
    """Keeps the table "mined": :func:`mined_pairs` of the last step, of ``mined`` anchors.

    Only for a :class:`xbmlib.losses.PairLoss`, which weighs pairs, and a memory that is not
    sharded; otherwise the run keeps no such table.
    """

    def on_step(self, trainer: Training, step: Step) -> None:
        """After the last update, mine the pairs that it used."""
        e, memory, loss = trainer.experiment, trainer.memory, trainer.loss
        if trainer.step < e.steps or step.own is None:
            return
        if isinstance(memory, CrossBatchMemory) and isinstance(loss, PairLoss):
            batch = step.embeddings, step.labels, step.ids
            trainer.tables["mined"] = mined_pairs(loss, *batch, memory, step.own, e.mined)


def first_of_classes(labels: Tensor, count: int) -> Tensor:
    """Places of the first image of each class, in their order; ``count`` of them at most."""
    first: dict[int, int] = {}
    for place, label in enumerate(labels.tolist()):
        first.setdefault(label, place)
    return torch.tensor(list(first.values())[:count], dtype=torch.int64, device="cpu")


@torch.no_grad()
def mined_pairs(
    loss: PairLoss,
    anchors: Tensor,
    labels: Tensor,
    ids: Tensor,
    memory: CrossBatchMemory,
    own: Tensor,
    count: int,
) -> pd.DataFrame:
    """The hardest pairs with a gradient, for the first anchor of each class of a batch.

    Args:
        loss: its weights decide which pairs have a gradient.
        anchors: (m, D), the batch.
        labels: (m,).
        ids: (m,), rows of the training set.
        memory: with the batch enqueued under its ids.
        own: (m,), slot of each anchor's own entry in it.
        count: number of anchors, at least 1; fewer where the batch has fewer classes.

    Returns:
        One row per pair, hardest first: anchor (its id), source ("positive": of the anchor's
        class, from the memory; "batch" and "memory": negatives), rank (from 1), id, similarity; at
        most TOP of each source. An anchor without a pair of some source has no row of it. An older
        entry of the anchor's own image is a positive, as in the loss.
    """
    at = first_of_classes(labels, count).to(labels.device)
    own_in_batch = torch.arange(len(labels), device=labels.device) == at[:, None]
    own_in_memory = torch.arange(len(memory), device=labels.device) == own[at, None]
    sources = {
        "batch": (anchors, labels, ids, own_in_batch),
        "memory": (memory.embeddings, memory.labels, memory.ids, own_in_memory),
    }
    found: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    for source, (entries, classes, names, excluded) in sources.items():
        similarities = anchors[at].float() @ entries.float().T
        same = labels[at, None] == classes
        positives = similarities.masked_fill(~same | excluded, torch.inf)
        negatives = similarities.masked_fill(same, -torch.inf)
        weights = loss.weigh(positives, negatives)
        if source == "memory":
            found["positive"] = _hardest(-positives, weights.positives > 0, similarities, names)
        found[source] = _hardest(negatives, weights.negatives > 0, similarities, names)
    rows = [
        {"anchor": int(ids[place]), "source": source, "rank": rank, "id": int(id),
         "similarity": float(similarity)}
        for i, place in enumerate(at.tolist())
        for source, (valid, names, similarities) in found.items()
        for rank, (id, similarity) in enumerate(
            zip(names[i, valid[i]], similarities[i, valid[i]], strict=True), 1
        )
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["anchor", "source", "rank", "id", "similarity"])


def _hardest(
    hardness: Tensor, valid: Tensor, similarities: Tensor, names: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The TOP hardest of each row: which of them are valid, their names and similarities."""
    values, places = hardness.masked_fill(~valid, -torch.inf).topk(min(TOP, len(names)), dim=1)
    return values > -torch.inf, names[places], similarities.gather(1, places)
