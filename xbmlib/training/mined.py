"""The pairs of single anchors, from the batch and from the memory: what a run keeps for Fig. 5."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from xbmlib.losses import PairLoss
from xbmlib.queue import CrossBatchMemory

TOP = 6  # pairs of each anchor and source


def first_of_classes(labels: Tensor, count: int) -> Tensor:
    """Places of the first image of each class, in their order; ``count`` of them at most."""
    first: dict[int, int] = {}
    for place, label in enumerate(labels.tolist()):
        first.setdefault(label, place)
    return torch.tensor(list(first.values())[:count], dtype=torch.int64)


@torch.no_grad()
def mined(
    loss: PairLoss,
    anchors: Tensor,
    labels: Tensor,
    ids: Tensor,
    memory: CrossBatchMemory,
    own: Tensor,
    count: int,
) -> pd.DataFrame:
    """The hardest pairs with a gradient of the first anchor of each class of a batch.

    Args:
        loss: whose weights tell which pairs have a gradient.
        anchors: (m, D), the batch.
        labels: (m,).
        ids: (m,), rows of the training set.
        memory: with the batch enqueued under its ids.
        own: (m,), each anchor's own place in it.
        count: of the anchors, at least 1; fewer where the batch has fewer classes.

    Returns:
        A row a pair, hardest first: anchor (its id), source ("positive": of the memory and the
        anchor's class; "batch" and "memory": negatives), rank (from 1), id, similarity; at most
        TOP of each source. An anchor without a pair of some source has no row of it.
    """
    at = first_of_classes(labels, count).to(labels.device)
    apart = torch.arange(len(labels), device=labels.device) == at[:, None]
    itself = torch.arange(len(memory), device=labels.device) == own[at, None]
    sides = {
        "batch": (anchors, labels, ids, apart),
        "memory": (memory.embeddings, memory.labels, memory.ids, itself),
    }
    found: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    for source, (vectors, classes, names, excluded) in sides.items():
        similarities = anchors[at].float() @ vectors.float().T
        same = labels[at, None] == classes
        positives = similarities.masked_fill(~same | excluded, torch.inf)
        negatives = similarities.masked_fill(same, -torch.inf)
        weighed = loss.weigh(positives, negatives)
        if source == "memory":
            found["positive"] = _hardest(-positives, weighed.positives > 0, similarities, names)
        found[source] = _hardest(negatives, weighed.negatives > 0, similarities, names)
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
    """Of each row the TOP hardest: which are valid, their names and similarities."""
    values, places = hardness.masked_fill(~valid, -torch.inf).topk(min(TOP, len(names)), dim=1)
    return values > -torch.inf, names[places], similarities.gather(1, places)
