"""Tests of the losses against the queue as it fills, wraps and is resumed (Algorithm 1)."""

import copy

import pytest
import torch
from pytorch_metric_learning import losses as peers
from torch.nn import functional as F

from tests.losses.oracle import brute_batch, each_kind, each_setting, offset, peer_of
from xbmlib.queue import CrossBatchMemory


def stream(count, m=8, dim=5, seed=0):
    """Batches of three classes, each class at least twice in each."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        v = F.normalize(torch.randn(m, dim, generator=generator, dtype=torch.float64))
        yield v, torch.arange(m) % 3 - 1


@each_setting
@pytest.mark.parametrize("size", [1, 5, 8, 20, 24, 99])
@pytest.mark.parametrize("resumed", [False, True], ids=["", "resumed"])
def test_queue_and_loss(kind, settings, size, resumed):
    """Oracle: the loops over a list of the last M embeddings, its own found by counting.

    Sizes below the batch, no multiple of it, a multiple, and never full: a memory is used from
    its first entries on. Resumed from a saved state or not, the numbers are the same.
    """
    memory, loss = CrossBatchMemory(size, 5, dtype=torch.float64), kind(**settings)
    held, seen = [], 0
    for step, (v, labels) in enumerate(stream(5)):
        held = [*held, *zip(range(seen, seen + 8), v, labels, strict=True)][-size:]
        own = [
            [i for i, *_ in held].index(r) if r >= held[0][0] else -1 for r in range(seen, seen + 8)
        ]
        seen += 8
        refs, ref_labels = (
            torch.stack(list(column)) for column in list(zip(*held, strict=True))[1:]
        )
        total, _, weights, _, grad = brute_batch(
            kind, settings, v, labels, refs, ref_labels, torch.tensor(own)
        )
        if resumed and step == 2:
            state = copy.deepcopy(memory.state_dict())
            memory = CrossBatchMemory(size, 5, dtype=torch.float64)
            memory.load_state_dict(state)
        z = v.clone().requires_grad_()
        slots = memory.enqueue(z, labels)
        out = loss(z, labels, memory.embeddings, memory.labels, own=slots)
        # What is enqueued between forward and backward does not change the gradient.
        copy.deepcopy(memory).enqueue(-z, labels)
        out.backward()
        assert out.item() == pytest.approx(total / 8, rel=1e-9, abs=1e-12)
        torch.testing.assert_close(z.grad, grad / 8, atol=1e-12, rtol=1e-7)
        assert int(sum(loss.valid).sum()) == int((weights > 0).sum())


@each_setting
def test_backward_after_the_memory_moved_on(kind, settings):
    """Oracle: the gradient taken at once; the loss keeps no view of the entries."""
    (v, labels), (w, _) = stream(2)
    memory, grads = CrossBatchMemory(12, 5, dtype=torch.float64), []
    memory.enqueue(w, labels)
    for late in (False, True):
        z, held = v.clone().requires_grad_(), copy.deepcopy(memory)
        own = held.enqueue(z, labels)
        out = kind(**settings)(z, labels, held.embeddings, held.labels, own=own)
        if late:
            held.reset()
        out.backward()
        grads.append(z.grad)
    assert torch.equal(*grads) and grads[0].any()


@each_kind
@pytest.mark.parametrize("size", [8, 20, 24])
def test_queue_and_loss_of_a_peer(kind, size):
    """Oracle: pytorch-metric-learning's memory, from empty to past full.

    It enqueues the batch first and leaves out its own entries by slot, as Algorithm 1 does.
    """
    peer, miner, scale = peer_of(kind)
    theirs = peers.CrossBatchMemory(peer, 5, size, miner)
    memory, loss = CrossBatchMemory(size, 5, dtype=torch.float64), kind()
    for v, labels in stream(7, seed=1):
        z = v.clone().requires_grad_()
        value = theirs(z, labels) * scale(8)
        value.backward()
        gradient, z.grad = z.grad, None
        own = memory.enqueue(z, labels)
        out = loss(F.normalize(z), labels, memory.embeddings, memory.labels, own=own)
        out.backward()
        assert out.item() == pytest.approx(value.item() + offset(loss) / 8, rel=1e-9)
        torch.testing.assert_close(z.grad, gradient)
