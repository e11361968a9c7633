"""Tests of what the benchmarks on a GPU compute; nothing is timed, and no GPU is needed."""

import pytest
import torch

from benchmarks import gpu, gpu_losses, gpu_recall
from benchmarks.losses import Case
from benchmarks.recall import brute
from tests.losses.oracle import case, value_and_gradient
from xbmlib.losses import ContrastiveLoss


def test_the_plain_loss_is_the_same_loss():
    """Oracle: ours, which is tested by the loops."""
    anchors, labels, memory, memory_labels, own = case()
    wanted = value_and_gradient(ContrastiveLoss(), anchors, labels, memory, memory_labels, own=own)
    z = anchors.clone().requires_grad_()
    value = gpu_losses.plain(z, labels, memory, memory_labels, own)
    value.backward()
    torch.testing.assert_close((value.detach(), z.grad), wanted[:2])


def test_a_fixed_step_gives_the_same_each_time():
    """Oracle: ours, called once."""
    anchors, labels, memory, memory_labels, _ = case(m=64, size=90, dtype=torch.float32)
    data = Case(memory, memory_labels, anchors[None], labels[None])
    step = gpu_losses.fixed(ContrastiveLoss(), data, {"shadow": True})
    wanted = value_and_gradient(ContrastiveLoss(), anchors, labels, memory, memory_labels)[1]
    assert torch.equal(step(), wanted) and torch.equal(step(), wanted)


def test_recall_by_topk():
    """Oracle: all pairs in float64."""
    generator = torch.Generator().manual_seed(0)
    v = torch.nn.functional.normalize(torch.randn(300, 6, generator=generator))
    labels = torch.randint(0, 90, (300,), generator=generator)
    # In class 90 there is one image alone.
    labels[0] = 90
    assert gpu_recall.by_topk(v, labels) == pytest.approx(brute(v, labels))


def test_bytes_time_and_share():
    """Oracle: by hand, 100 MB at 2 TB/s take 50 µs."""
    timed = gpu_losses.Timed("loss", lambda: None, 4, aim=3.0)
    assert gpu_losses.read(torch.empty(10, 5), 2) == 100
    found = gpu_losses.judged(timed, 200.0, 100_000_000, 2e12)
    assert found["reference"] == 50 and found["share"] == 0.25 and found["ratio"] == 4
    assert found["holds"] is False
    parts = ("200.0 µs", "100.0 MB", "25% of the bandwidth", "4 × one read", "(aim <= 3)", "SHORT")
    assert all(part in gpu.line(found) for part in parts)
    peer = gpu_losses.judged(timed._replace(aim=None), 200.0, 100_000_000, 2e12)
    assert peer["holds"] is None and "aim" not in gpu.line(peer)


def test_calls_are_timed_in_a_row():
    """Oracle: a count of the calls, three of them for warm-up."""
    calls = []
    assert gpu_losses.microseconds(lambda: calls.append(1), rounds=5) > 0
    assert len(calls) == 8
    assert gpu_losses.bandwidth("cpu", 1 << 20) > 0
