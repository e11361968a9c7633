"""Tests of the losses in compiled graphs: one graph, compiled once, and the numbers of eager."""

import copy
import io

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn import functional as F

from tests.losses.oracle import case, each_loss
from xbmlib.losses import ContrastiveLoss, PairLoss, TripletLoss, Weighting
from xbmlib.queue import CrossBatchMemory


@pytest.fixture
def compiled():
    """A function that compiles another into one graph, with the count of its compilations."""
    torch._dynamo.reset()

    def compile(function):
        counter = CompileCounterWithBackend("aot_eager")
        return torch.compile(function, backend=counter, fullgraph=True), counter

    yield compile
    torch._dynamo.reset()


def batches(count, m=8, seed=0):
    """Batches of unit vectors in three classes."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        v = F.normalize(torch.randn(m, 5, generator=generator))
        yield v, torch.randint(-1, 2, (m,), generator=generator)


def found(step, memory, loss, v, labels):
    """Value, gradient, valid pairs and the entries after a step."""
    z = v.clone().requires_grad_()
    value = step(memory, z, labels)
    value.backward()
    return value.detach(), z.grad, *loss.valid, memory.features.clone()


class Squared(PairLoss):
    """A custom loss, of which the compiler knows nothing."""

    def weigh(self, positives, negatives):
        """Half the squares of the distances from what is desired."""
        away, towards = negatives.clamp_min(0), torch.where(positives.isinf(), 0, 1 - positives)
        loss = (away.square().sum(1) + towards.square().sum(1)) / 2
        return Weighting(loss, towards, away, terms=(away > 0).sum(1).to(loss.dtype))


@each_loss
@pytest.mark.parametrize("shadow", [False, True], ids=["", "shadow"])
def test_compiled_once_while_the_queue_fills(kind, settings, shadow, compiled):
    """Oracle: the same steps in eager, to the last bit; Dynamo's count of compilations.

    From an empty queue to one whose entries have all been replaced, in batches that do not divide
    its size.
    """
    check(kind(**settings), compiled, shadow=shadow)


def test_a_custom_loss_is_compiled_once(compiled):
    """Oracle: as above; against a loss that has no bound."""
    check(Squared("mean"), compiled)


def check(loss, compiled, **named):
    """Run the same steps compiled and in eager."""

    def step(memory, v, labels):
        own = memory.enqueue(v, labels)
        return loss(v, labels) + loss(v, labels, memory, own=own)

    ours, wanted = (CrossBatchMemory(20, 5, **named) for _ in range(2))
    graph, counter = compiled(step)
    for v, labels in batches(7):
        pairs = found(graph, ours, loss, v, labels), found(step, wanted, loss, v, labels)
        for got, due in zip(*pairs, strict=True):
            assert torch.equal(got, due)
        assert len(ours) == len(wanted) and ours.pointer == wanted.pointer
    assert counter.frame_count == 1


def test_embeddings_of_any_number(compiled):
    """Oracle: eager, to the last bit; compiled once for the first number, once for all others."""
    loss = TripletLoss()
    anchors, labels, memory, memory_labels, own = case(dtype=torch.float16)
    own = own.remainder(20)

    def value(v, memory, memory_labels):
        return loss(v, labels, memory, memory_labels, own=own)

    graph, counter = compiled(value)
    for size in (20, 25, 31, 40):
        grads = []
        for function in (graph, value):
            z = anchors.clone().requires_grad_()
            function(z, memory[:size], memory_labels[:size]).backward()
            grads.append(z.grad)
        assert torch.equal(*grads) and grads[0].dtype == torch.float16
    assert counter.frame_count == 2


def test_the_settings_at_the_time_of_the_call(compiled):
    """Oracle: eager; a changed λ counts, and a copy's own settings."""
    anchors, labels, *_ = case(dtype=torch.float32)
    loss = ContrastiveLoss(0.9)
    copies = [copy.deepcopy(loss), torch.load(_saved(loss), weights_only=False)]
    loss.lam = -0.5
    for each in (loss, *copies):
        graph, _ = compiled(each)
        assert torch.equal(graph(anchors, labels), each(anchors, labels))
    assert loss(anchors, labels) > copies[0](anchors, labels) == copies[1](anchors, labels)


def _saved(loss):
    file = io.BytesIO()
    torch.save(loss, file)
    file.seek(0)
    return file


def test_bad_input_is_refused_as_in_eager(compiled):
    """Oracle: eager's message."""
    anchors, labels, memory, memory_labels, own = case(dtype=torch.float32)
    graph, _ = compiled(ContrastiveLoss())
    with pytest.raises(ValueError, match="give slots of a memory of 40 entries"):
        graph(anchors, labels, memory, memory_labels, own=own + 100)
