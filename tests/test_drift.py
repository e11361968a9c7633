"""Tests of the feature drift against Eq. 2 and against all embeddings kept."""

import io
import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xbmlib.backbones import Embedder
from xbmlib.drift import DriftProbe, feature_drift, gradient_errors


def test_eq_2():
    """Oracle: unit vectors an angle a apart have D = 2 - 2 cos a, from 0 to 4."""
    angles = torch.tensor([0.0, 0.3, math.pi / 2, math.pi])
    now = torch.stack([angles.cos(), angles.sin()], 1)
    then = torch.tensor([[1.0, 0.0]]).expand(4, 2)
    torch.testing.assert_close(feature_drift(now, then), 2 - 2 * angles.cos())
    torch.testing.assert_close(feature_drift(then, now), 2 - 2 * angles.cos())


def test_squared_distance():
    """Oracle: by hand, 3² + 4² and 0: a square, and a sum over D, one for each instance."""
    now, then = torch.tensor([[3.0, 1.0], [1.0, 2.0]]), torch.tensor([[0.0, 5.0], [1.0, 2.0]])
    assert feature_drift(now, then).tolist() == [25, 0]


def embeddings(steps, n=5, seed=0):
    """Embeddings of n probes after each number of updates."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, 3, generator=generator, dtype=torch.float64) for _ in range(steps + 1)]


def brute(deltas, times, kept):
    """(step, delta, drift, spread) from all embeddings, in plain Python."""
    rows = []
    for t in sorted(set(times)):
        for d in sorted(set(deltas)):
            if t - d >= 0:
                pairs = zip(kept[t].tolist(), kept[t - d].tolist(), strict=True)
                drifts = [sum((a - b) ** 2 for a, b in zip(*p, strict=True)) for p in pairs]
                rows.append((t, d, statistics.fmean(drifts), statistics.pstdev(drifts)))
    return rows


def follow(deltas, times, kept, stop=None):
    """What a probe measures over all steps, restored from a saved state at one of them."""
    probe, rows, embedded = DriftProbe(deltas, times), [], []
    for step, embedding in enumerate(kept):
        if step == stop:
            file = io.BytesIO()
            torch.save(probe.state_dict(), file)
            file.seek(0)
            probe = DriftProbe(deltas, times)
            probe.load_state_dict(torch.load(file, weights_only=True))
        if probe.due(step):
            embedded.append(step)
            rows += probe.record(step, embedding)
        # It holds the embeddings that later steps need, no fewer and no more.
        needed = {t - d for t in times for d in deltas if t > step and 0 <= t - d <= step}
        assert set(probe.state_dict()) == {str(t) for t in needed}
    return rows, embedded


@pytest.mark.parametrize("stop", [None, 0, 9, 14, 15, 30])
def test_probe_equals_brute_force(stop):
    """Oracle: every embedding kept, every pair of steps looked up; resumed on the way or not."""
    deltas, times, kept = (1, 4, 10), range(0, 31, 7), embeddings(30)
    rows, embedded = follow(deltas, times, kept, stop)
    wanted = brute(deltas, times, kept)
    assert [(r["step"], r["delta"]) for r in rows] == [w[:2] for w in wanted]
    assert [r["drift"] for r in rows] == pytest.approx([w[2] for w in wanted])
    assert [r["spread"] for r in rows] == pytest.approx([w[3] for w in wanted])
    assert embedded == sorted({s for t, d, *_ in wanted for s in (t, t - d)})


@settings(max_examples=60, deadline=None)
@given(
    deltas=st.lists(st.integers(1, 15), max_size=4),
    times=st.lists(st.integers(0, 20), max_size=6),
    stop=st.integers(0, 20),
)
def test_any_steps(deltas, times, stop):
    """Oracle: as above, in any order, repeated, none, and Δt beyond the first steps."""
    kept = embeddings(20, n=2)
    rows, embedded = follow(deltas, times, kept, stop)
    wanted = brute(deltas, times, kept)
    found = sorted((r["step"], r["delta"], r["drift"], r["spread"]) for r in rows)
    assert [f[:2] for f in found] == [w[:2] for w in wanted]
    for column in (2, 3):
        assert [f[column] for f in found] == pytest.approx([w[column] for w in wanted])
    assert embedded == sorted({s for t, d, *_ in wanted for s in (t, t - d)})


def test_recorded_embeddings_are_copies_without_gradient():
    """Oracle: the values when they were recorded, 3² = 9 apart, whatever became of the tensor."""
    probe, model = DriftProbe((2,), (2,)), torch.zeros(4, 1, requires_grad=True)
    assert probe.record(0, model * 1) == []
    assert not probe.state_dict()["0"].requires_grad
    probe, buffer = DriftProbe((2,), (2,)), torch.zeros(4, 1)
    probe.record(0, buffer)
    buffer.fill_(3)
    assert probe.record(2, buffer) == [{"step": 2, "delta": 2, "drift": 9.0, "spread": 0.0}]


def test_bad_values():
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match=r"\(0,\).*at least one"):
        DriftProbe((0,), range(3))
    with pytest.raises(ValueError, match=r"\(4, -1\)"):
        DriftProbe((4, -1), range(3))
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 3\)"):
        feature_drift(torch.zeros(2, 3), torch.zeros(3, 3))
    with pytest.raises(ValueError, match=r"\(3,\).*\(n, D\)"):
        feature_drift(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ValueError, match="then of torch.int64: give embeddings in floating"):
        feature_drift(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.int64))


def test_gradient_errors_are_those_of_eq_3():
    """Oracle: Eq. 3 itself: L and L̃ of each pair differentiated apart, with v_j held fixed."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 4), torch.nn.Tanh()).double()
    images = torch.randn(5, 1, 2, 3, dtype=torch.float64)
    now, then = torch.randn(2, 5, 4, dtype=torch.float64)
    found = gradient_errors(model, images, now - then)["all"]
    for i in range(5):
        flat = []
        for other in (now[i], then[i]):
            model.zero_grad()
            (model(images[i : i + 1])[0] @ other).backward()
            flat.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
        wanted = (flat[0] - flat[1]).square().sum()
        torch.testing.assert_close(found[i], wanted)


def test_c_of_a_linear_map_is_its_inputs_squared_norm():
    """Oracle: f(x) = Wx has ∂(v_i · d)/∂W = d xᵀ, so that C = ||x||² for every pair."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 4, bias=False)).double()
    images = torch.randn(3, 1, 2, 3, dtype=torch.float64)
    steps = [torch.randn(3, 4, dtype=torch.float64) for _ in range(2)]
    probe = DriftProbe([1], [0, 1])
    probe.record(0, steps[0])
    (row,) = probe.record(1, steps[1], lambda d: gradient_errors(model, images, d))
    squared_norms = images.flatten(1).square().sum(1)
    assert row["C"] == pytest.approx(float(squared_norms.mean()))
    assert row["below_one"] == float((squared_norms < 1).double().mean())
    assert row["epsilon"] == pytest.approx(row["drift"])


def test_the_error_in_the_head_alone_of_unit_vectors():
    """Oracle: v = u / ||u||, u = Wh + b: (||h||² + 1) / ||u||² × ||d - (v · d) v||², and no more.

    The head's weight and bias are a part of all; the trunk's are the rest.
    """
    torch.manual_seed(0)
    trunk = torch.nn.Conv2d(1, 6, 3, bias=False)
    model = Embedder(trunk, features=6, dim=4).double().eval()
    torch.nn.init.normal_(model.head.bias)
    images, differences = torch.randn(5, 1, 5, 5).double(), torch.randn(5, 4).double()
    # The vectors leave the embedder in float32.
    found = gradient_errors(model, images, differences.float(), {"head": model.head})
    pooled = trunk(images).mean((2, 3))
    raw = model.head(pooled)
    v = torch.nn.functional.normalize(raw)
    across = differences - (v * differences).sum(1, keepdim=True) * v
    wanted = (pooled.square().sum(1) + 1) / raw.square().sum(1) * across.square().sum(1)
    torch.testing.assert_close(found["head"], wanted, rtol=1e-5, atol=0)
    rest = gradient_errors(model, images, differences.float(), {"trunk": trunk})["trunk"]
    torch.testing.assert_close(found["head"] + rest, found["all"])


def test_gradient_errors_of_an_unused_parameter_and_of_unequal_numbers():
    """Oracle: the model without it, since its gradient is 0; the message."""
    net = torch.nn.Linear(3, 2)
    images, differences = torch.randn(4, 3), torch.randn(4, 2)
    wanted = gradient_errors(net, images, differences)["all"]
    net.unused = torch.nn.Parameter(torch.ones(5))
    torch.testing.assert_close(gradient_errors(net, images, differences)["all"], wanted)
    with pytest.raises(ValueError, match="4 images, 3 differences"):
        gradient_errors(net, images, differences[:3])
    with pytest.raises(ValueError, match="then of type list: give a tensor"):
        feature_drift(images, images.tolist())
