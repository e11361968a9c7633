"""Tests of the losses against pytorch-metric-learning.

Where the definitions agree. Its contrastive loss counts S - λ for a valid negative, ours S
(Eq. 1): the sums differ by λ for each, a constant that no gradient sees. It normalises what it
is given, and so passes back a gradient along the sphere: ours is given normalised embeddings.
"""

import pytest
import torch
from torch.nn import functional as F

from tests.losses.oracle import case, each_kind, offset, peer_of


@each_kind
@pytest.mark.parametrize("memory", [True, False], ids=["memory", "batch"])
@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients(kind, memory, seed):
    """Oracle: the peer, given the same pairs; within the batch it leaves out self-pairs too."""
    anchors, labels, *rest, _ = case(seed=seed)
    rest = rest if memory else []
    peer, miner, scale = peer_of(kind)
    z = anchors.clone().requires_grad_()
    mined = miner(z, labels, *rest) if miner else None
    theirs = peer(z, labels, mined, *rest) * scale(len(z))
    theirs.backward()
    wanted, z.grad = z.grad, None
    loss = kind()
    ours = loss(F.normalize(z), labels, *rest)
    ours.backward()
    assert ours.item() == pytest.approx(theirs.item() + offset(loss) / len(z), rel=1e-9)
    torch.testing.assert_close(z.grad, wanted)
