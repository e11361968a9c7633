"""What the checks on every rank share; see checks.py."""

from itertools import pairwise

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from xbmlib.distributed import ShardedMemory
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, PairLoss, TripletLoss, Weighting
from xbmlib.queue import CrossBatchMemory


class BinomialDeviance(PairLoss):
    """A loss of a user's own that states no bound."""

    def weigh(self, positives, negatives):
        """The derivatives of two soft-plus terms."""
        pair, other = positives != torch.inf, negatives != -torch.inf
        near, far = (0.5 - positives).mul(2), (negatives - 0.5).mul(40)
        loss = torch.where(pair, F.softplus(near), 0).sum(1)
        loss = loss + torch.where(other, F.softplus(far), 0).sum(1)
        weights = 2 * near.sigmoid() * pair, 40 * far.sigmoid() * other
        return Weighting(loss, *weights, terms=pair.sum(1) + other.sum(1))


LOSSES = (
    ContrastiveLoss(0.1),
    ContrastiveLoss(0.4, "mean"),
    TripletLoss(0.2),
    TripletLoss(0.05, "mean"),
    MultiSimilarityLoss(),
    MultiSimilarityLoss(2, 10, 0.1, 0.3, "mean"),
    BinomialDeviance(),
    BinomialDeviance("mean"),
)


kinds = (CrossBatchMemory, ShardedMemory)


def rank():
    return dist.get_rank()


def ranks():
    return dist.get_world_size()


def splits(m, seed):
    """An uneven way to share m rows among the ranks, the same on all; 0 rows included."""
    cuts = torch.randint(0, m + 1, (ranks() - 1,), generator=torch.Generator().manual_seed(seed))
    edges = [0, *sorted(cuts.tolist()), m]
    return [slice(a, b) for a, b in pairwise(edges)]


def whole_batch(m, seed, dim=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(m, dim, generator=generator, dtype=torch.float64)
    labels = torch.randint(-2, 3, (m,), generator=generator)
    return x.to(dtype), labels, torch.randint(0, 10**12, (m,), generator=generator)


def linear():
    torch.manual_seed(3)
    return nn.Linear(7, 5).double()


def embed(model, x):
    return F.normalize(model(x))


def close(a, b, tolerance=1e-10):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def equal(a, b):
    assert torch.equal(a, b), (a, b)


def same_queue(memory, single):
    """The union of the shards, put together slot by slot, against the single queue."""
    assert (len(memory), memory.pointer, memory.full) == (len(single), single.pointer, single.full)
    found = torch.zeros(len(single), dtype=torch.int64)
    close(memory.shard.embeddings, single.embeddings[memory.slots])
    equal(memory.shard.labels, single.labels[memory.slots])
    equal(memory.shard.ids, single.ids[memory.slots])
    equal(memory.age, single.age[memory.slots])
    found[memory.slots] = 1
    dist.all_reduce(found)
    equal(found, torch.ones_like(found))


def refused(kind, message, call, *arguments, **named):
    """The call fails with this error on this rank; a hang ends the launch by its timeout."""
    try:
        call(*arguments, **named)
    except kind as error:
        assert message in str(error), error
    else:
        raise AssertionError(f"not refused: {message}")
