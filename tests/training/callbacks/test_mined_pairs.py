"""Tests of the pairs that a run keeps of its last batch."""

import pytest
import torch
from torch.nn.functional import normalize

from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, TripletLoss
from xbmlib.queue import CrossBatchMemory
from xbmlib.training.callbacks.mined_pairs import TOP, mined_pairs


def case(loss, seed=0):
    """A batch of 8 in a memory of 40, few classes, so that every source has pairs; and its rows."""
    generator = torch.Generator().manual_seed(seed)
    v = normalize(torch.randn(48, 4, generator=generator), dim=1)
    labels = torch.randint(0, 4, (48,), generator=generator)
    ids = torch.randperm(1000, generator=generator)[:48]
    memory = CrossBatchMemory(40, 4)
    memory.enqueue(v[:40], labels[:40], ids[:40])
    own = memory.enqueue(v[40:], labels[40:], ids[40:])
    batch = v[40:], labels[40:], ids[40:]
    held = list(zip(v[8:].tolist(), labels[8:].tolist(), ids[8:].tolist(), strict=True))
    return batch, held, mined_pairs(loss, *batch, memory, own, count=3)


def gradient(loss, anchor, label, others):
    """d loss / d S of each pair of one anchor, by autograd through the similarities."""
    s = torch.tensor([sum(a * b for a, b in zip(anchor, v, strict=True)) for v, *_ in others])
    same = torch.tensor([y == label for _, y, _ in others])
    found = loss.weigh(s.masked_fill(~same, torch.inf)[None], s.masked_fill(same, -torch.inf)[None])
    return s, same, torch.where(same, found.positives[0], found.negatives[0]) > 0


@pytest.mark.parametrize("loss", [ContrastiveLoss(0.3), TripletLoss(0.1), MultiSimilarityLoss()])
def test_rows_equal_a_loop(loss):
    """Oracle: each anchor alone, its pairs listed one by one and sorted by Python."""
    (v, labels, ids), held, data = case(loss)
    first = list(dict.fromkeys(labels.tolist()))[:3]
    anchors = [labels.tolist().index(c) for c in first]
    assert list(data["anchor"].unique()) == [int(ids[i]) for i in anchors]
    batch = list(zip(v.tolist(), labels.tolist(), ids.tolist(), strict=True))
    for i in anchors:
        rows = data[data["anchor"] == int(ids[i])].groupby("source")["id"].agg(list).to_dict()
        for source, others in (("batch", batch), ("memory", held)):
            others = [o for o in others if o[2] != int(ids[i])]
            s, same, valid = gradient(loss, v[i].tolist(), int(labels[i]), others)
            wanted = {source: (~same & valid, -s)}
            if source == "memory":
                wanted["positive"] = (same & valid, s)
            for name, (there, order) in wanted.items():
                ranked = [others[j][2] for j in order.argsort().tolist() if there[j]]
                assert rows.get(name, []) == ranked[:TOP], (i, name)


def test_contrastive_negatives_are_those_above_lam():
    """Oracle: Section 3.1: w_ij = 1 if S_ij > λ."""
    _, _, data = case(ContrastiveLoss(0.3))
    assert (data.loc[data["source"] != "positive", "similarity"] > 0.3).all()
