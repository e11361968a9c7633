"""Tests of the memory in one call against a loop written by hand over a list."""

import copy
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as peers
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn import functional as F

from tests.losses.oracle import SETTINGS, brute_batch, listed
from xbmlib.losses import ContrastiveLoss, MetricLearningLoss, TripletLoss
from xbmlib.xbm import XBM

D = 5


def stream(count, m=8, seed=0):
    """Batches of unit vectors in three classes."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        v = F.normalize(torch.randn(m, D, generator=generator, dtype=torch.float64))
        yield v, torch.randint(-1, 2, (m,), generator=generator)


def made(kind, named, **changes):
    """An XBM in float64, so that the loops are met to many digits."""
    arguments = {"size": 20, "dim": D, "start": 2, "dtype": torch.float64} | changes
    return XBM(kind(**named), **arguments)


def step(xbm, v, labels):
    """Value and gradient of one call."""
    z = v.clone().requires_grad_()
    value = xbm(z, labels)
    value.backward()
    return value.detach(), z.grad


class ByHand:
    """Algorithm 1 over a Python list, with the losses as loops over pairs."""

    def __init__(self, kind, named, size, start, weight, batch_loss):
        self.loss, self.size, self.start = (kind, named), size, start
        self.weight, self.batch_loss = weight, batch_loss
        self.queue, self.calls = [], 0

    def part(self, v, labels, queue, own, both_sides):
        """Mean over the anchors of the loss against (row, label) entries, and its gradient."""
        rows = torch.stack([row for row, _ in queue])
        others = torch.tensor([label for _, label in queue])
        total, _, weights, signs, grad = brute_batch(
            *self.loss, v, labels, rows, others, torch.tensor(own)
        )
        if both_sides:
            grad = grad + (signs * weights).T @ v
        return total / len(v), grad / len(v)

    def __call__(self, v, labels):
        """Value and gradient of one training step."""
        m, batch = len(v), list(zip(v, labels.tolist(), strict=True))
        value, grad = 0.0, torch.zeros_like(v)
        if self.batch_loss or self.calls < self.start:
            value, grad = self.part(v, labels, batch, list(range(m)), True)
        if self.calls >= self.start:
            self.queue = [*self.queue, *batch][-self.size :]
            first = len(self.queue) - m
            own = [first + i if first + i >= 0 else -1 for i in range(m)]
            against, pulled = self.part(v, labels, self.queue, own, False)
            value, grad = value + self.weight * against, grad + self.weight * pulled
        self.calls += 1
        return value, grad


@settings(max_examples=60, deadline=None)
@given(
    chosen=st.sampled_from(SETTINGS),
    size=st.integers(1, 30),
    start=st.integers(0, 5),
    weight=st.sampled_from([1.0, 0.3]),
    batch_loss=st.booleans(),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    seed=st.integers(0, 10_000),
)
def test_a_loop_by_hand(chosen, size, start, weight, batch_loss, sizes, seed):
    """Oracle: a list cut to its last M rows and loops over pairs (Algorithm 1, Eq. 1, Eq. 4).

    Any M, a batch larger than it and one that M is no multiple of, and any warm-up.
    """
    named = {"start": start, "weight": weight, "batch_loss": batch_loss}
    xbm, hand = made(*chosen, size=size, **named), ByHand(*chosen, size, **named)
    for number, m in enumerate(sizes):
        ((v, labels),) = stream(1, m, seed + number)
        value, grad = step(xbm, v, labels)
        wanted, wanted_grad = hand(v, labels)
        assert value.item() == pytest.approx(wanted, rel=1e-7, abs=1e-12)
        torch.testing.assert_close(grad, wanted_grad, atol=1e-9, rtol=1e-7)
        held = sorted((*row.tolist(), label) for row, label in hand.queue)
        rows = zip(xbm.memory.embeddings.tolist(), xbm.memory.labels.tolist(), strict=True)
        assert sorted((*row, label) for row, label in rows) == held
    assert xbm.steps == len(sizes)


def test_the_warm_up_has_no_memory():
    """Oracle: the batch's loss alone in the first ``start`` calls, then M rows from the next on."""
    xbm, loss = made(TripletLoss, {"eta": 0.1}, start=3), TripletLoss(0.1)
    for number, (v, labels) in enumerate(stream(6)):
        assert xbm.warm == (number >= 3)
        value, _ = step(xbm, v, labels)
        assert len(xbm.memory) == min(20, 8 * max(0, number - 2))
        assert (value == loss(v, labels)) == (number < 3)


@pytest.mark.parametrize("at", [0, 1, 2, 5], ids=lambda at: f"after {at}")
@pytest.mark.parametrize("loss", [TripletLoss, lambda: peers.MarginLoss(learn_beta=True)])
def test_resumed(at, loss):
    """Oracle: the undisturbed run, to the last bit; before, in and after the warm-up."""

    def fresh():
        xbm = XBM(loss(), size=20, dim=D, start=2, shadow=True)
        return xbm, torch.optim.SGD([*xbm.parameters(), nn.Parameter(torch.ones(1))], 0.1)

    def go_on(xbm, optimiser, batches):
        for v, labels in batches:
            value, grad = step(xbm, v.float(), labels)
            optimiser.step()
            optimiser.zero_grad()
            yield value, grad

    batches = list(stream(8, seed=1))
    wanted = list(go_on(*fresh(), batches))[at:]
    stopped, optimiser = fresh()
    list(go_on(stopped, optimiser, batches[:at]))
    file = io.BytesIO()
    torch.save(stopped.state_dict(), file)
    file.seek(0)
    resumed, optimiser = fresh()
    list(go_on(resumed, optimiser, batches[5:]))
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert resumed.steps == at and len(resumed.memory) == min(20, 8 * max(0, at - 2))
    for got, due in zip(go_on(resumed, optimiser, batches[at:]), wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(got, due, strict=True))


@pytest.mark.parametrize("mode", ["eval", "no_grad", "inference_mode"])
@pytest.mark.parametrize("calls", [0, 1, 4])
def test_evaluation_is_no_step(mode, calls):
    """Oracle: the loops against the entries as they stand, no own ones; then a state unchanged."""
    chosen, batches = SETTINGS[0], list(stream(5))
    xbm, hand = made(*chosen), ByHand(*chosen, 20, 2, 1.0, True)
    for v, labels in batches[:calls]:
        step(xbm, v, labels)
        hand(v, labels)
    before, (v, labels) = copy.deepcopy(xbm.state_dict()), batches[-1]
    if mode == "eval":
        xbm.eval()
        value = xbm(v, labels)
    else:
        with getattr(torch, mode)():
            value = xbm(v, labels)
    wanted, _ = hand.part(v, labels, list(zip(v, labels.tolist(), strict=True)), range(8), True)
    if calls > 2:
        wanted += hand.part(v, labels, hand.queue, [-1] * 8, False)[0]
    assert value.item() == pytest.approx(wanted)
    after = xbm.state_dict()
    assert all(torch.equal(after[name], kept) for name, kept in before.items())
    assert bool(len(xbm.memory)) == (calls > 2)


def test_a_loss_of_a_peer():
    """Oracle: the peer by hand, on pairs listed one by one, within the batch and of the memory."""
    xbm, peer = XBM(peers.CircleLoss(), size=20, dim=D, start=0), peers.CircleLoss()
    assert isinstance(xbm.loss, MetricLearningLoss)
    rows, others = torch.zeros(0, D), torch.zeros(0, dtype=torch.int64)
    for v, labels in stream(2):
        v = v.float()
        rows, others = torch.cat([rows, v]), torch.cat([others, labels])
        own = torch.arange(len(rows) - 8, len(rows))
        wanted = peer(v, labels, listed(labels, labels, torch.arange(8)))
        wanted = wanted + peer(v, labels, listed(labels, others, own), rows, others)
        torch.testing.assert_close(step(xbm, v, labels)[0], wanted)


def test_ids_and_storage_are_passed_on():
    """Oracle: the ids by hand, -1 where none were given; the memory's own dtype and shadow."""
    xbm = XBM(ContrastiveLoss(), size=10, dim=D, start=0, dtype=torch.bfloat16)
    for v, labels in stream(1):
        xbm(v, labels, torch.arange(8) + 100)
        xbm(v[:1], labels[:1])
    assert xbm.memory.ids.tolist() == [*range(100, 108), -1]
    assert xbm.memory.embeddings.dtype == torch.bfloat16 and xbm.memory.shadow is None
    assert XBM(ContrastiveLoss(), size=10, dim=D, shadow=True).memory.shadow is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 0}, "size=0"),
        ({"dim": 2.0}, "dim=2.0"),
        ({"start": -1}, "start=-1: give a whole number"),
        ({"start": 1.5}, "start=1.5"),
        ({"start": True}, "start=True"),
        ({"weight": 0}, "weight=0: give a finite number above 0"),
        ({"weight": float("nan")}, "weight=nan"),
        ({"weight": "1"}, "weight='1': give a number"),
        ({"weight": True}, "weight=True: give a number"),
        ({"weight": float("inf")}, "weight=inf"),
        ({"dtype": torch.int32}, "int32"),
        ({"dtype": torch.float16, "shadow": True}, "shadow"),
        ({"loss": F.mse_loss}, r"type function: give a loss itself, say ContrastiveLoss\(\)"),
        ({"loss": ContrastiveLoss}, r"type type: give a loss itself"),
        ({"loss": nn.MSELoss()}, r"MSELoss cannot be called(.|\n)*give a pair or triplet"),
    ],
    ids=lambda v: str(v)[:30],
)
def test_bad_settings(change, message):
    """Oracle: the message names the argument, its value and the remedy."""
    arguments = {"loss": ContrastiveLoss(), "size": 10, "dim": D} | change
    with pytest.raises(ValueError, match=message):
        XBM(arguments.pop("loss"), **arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"anchors": torch.zeros(8, 3)}, r"\(8, 3\).*\(B, 5\)"),
        ({"anchors": torch.zeros(8, D).numpy()}, "embeddings of type ndarray: give a tensor"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"labels.*\(3,\)"),
        ({"labels": torch.zeros(8)}, "labels of torch.float32: give integers"),
        ({"ids": torch.zeros(2, dtype=torch.int64)}, r"ids.*\(2,\)"),
        ({"anchors": torch.zeros(8, D, device="meta")}, r"anchors on meta.*cpu.*\.to\('meta'\)"),
        ({"labels": torch.zeros(8, dtype=int, device="meta")}, "labels on meta, anchors on cpu"),
        ({"ids": torch.zeros(8, dtype=int, device="meta")}, "ids on meta, anchors on cpu"),
    ],
    ids=lambda v: str(v)[:30],
)
@pytest.mark.parametrize("start", [0, 9], ids=["memory", "warm-up"])
def test_bad_batches_are_no_step(change, message, start):
    """Oracle: the message, in the warm-up too, and a state that has not changed."""
    ((v, labels),) = stream(1)
    xbm = made(ContrastiveLoss, {}, start=start)
    step(xbm, v, labels)
    before = copy.deepcopy(xbm.state_dict())
    with pytest.raises(ValueError, match=message):
        xbm(**{"anchors": v, "labels": labels} | change)
    assert all(torch.equal(xbm.state_dict()[name], kept) for name, kept in before.items())


class Refusing(ContrastiveLoss):
    """Refuses to weigh pairs while it is asked to."""

    refuses = False

    def weigh(self, positives, negatives):
        """See the base class."""
        if self.refuses:
            raise ValueError("no")
        return super().weigh(positives, negatives)


@pytest.mark.parametrize("calls", [0, 1, 4])
@pytest.mark.parametrize("m", [8, 25], ids=["batch", "larger than M"])
def test_a_batch_that_the_loss_refuses_is_no_step(calls, m):
    """Oracle: state and shadow before; then the undisturbed calls, to the last bit."""
    named = {"size": 20, "dim": D, "start": 0, "batch_loss": False, "shadow": True}
    xbm, undisturbed = XBM(Refusing(), **named), XBM(Refusing(), **named)
    for v, labels in stream(calls):
        step(xbm, v.float(), labels)
        step(undisturbed, v.float(), labels)
    before = copy.deepcopy(xbm.memory.state_dict()), copy.deepcopy(xbm.memory.shadow)
    ((v, labels),) = stream(1, m, seed=7)
    xbm.loss.refuses = True
    with pytest.raises(ValueError, match="no"):
        xbm(v.float(), labels, torch.arange(m))
    after = xbm.memory.state_dict(), xbm.memory.shadow
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert xbm.steps == undisturbed.steps == calls
    xbm.loss.refuses = False
    for got, due in zip(*(step(x, v.float(), labels) for x in (xbm, undisturbed)), strict=True):
        assert torch.equal(got, due)


def test_its_state_is_all_in_state_dict():
    """Oracle: the names: a user saves nothing else."""
    xbm = XBM(ContrastiveLoss(), size=4, dim=D)
    memory = {"memory.features", "memory.classes", "memory.instances", "memory._extra_state"}
    assert set(xbm.state_dict()) == {"_extra_state", *memory}
    assert "start=1000, weight=1.0, batch_loss=True" in repr(xbm)


@pytest.mark.parametrize("batch_loss", [True, False])
def test_compiled_for_the_warm_up_and_for_what_follows(batch_loss):
    """Oracle: eager, to the last bit; Dynamo's count of compilations."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    ours = made(*SETTINGS[2], batch_loss=batch_loss, start=3)
    wanted = copy.deepcopy(ours)
    graph = torch.compile(ours, backend=counter, fullgraph=True)
    for i, (v, labels) in enumerate(stream(7)):
        for got, due in zip(step(graph, v, labels), step(wanted, v, labels), strict=True):
            assert torch.equal(got, due)
        assert ours.steps == wanted.steps == i + 1 and ours.warm == wanted.warm
        assert torch.equal(ours.memory.embeddings, wanted.memory.embeddings)
    assert counter.frame_count == 2
    torch._dynamo.reset()
