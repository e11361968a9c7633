"""Tests of the feature drift against Eq. 2 and against all embeddings kept."""

import math

import pytest
import torch

from xbmlib.drift import DriftProbe, feature_drift


def test_eq_2():
    """Oracle: unit vectors an angle a apart have D = 2 - 2 cos a."""
    angles = torch.tensor([0.0, 0.3, math.pi / 2, math.pi])
    now = torch.stack([angles.cos(), angles.sin()], 1)
    then = torch.tensor([[1.0, 0.0]]).expand(4, 2)
    torch.testing.assert_close(feature_drift(now, then), 2 - 2 * angles.cos())


def embeddings(steps, n=5):
    """Embeddings of n probes after each number of updates."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 3, generator=generator) for _ in range(steps + 1)]


@pytest.mark.parametrize("stop", [None, 9, 14, 15])
def test_probe_equals_brute_force(stop):
    """Oracle: every embedding kept, every pair of steps looked up; resumed on the way or not."""
    deltas, times, kept = (1, 4, 10), range(0, 31, 7), embeddings(30)
    probe, rows, embedded = DriftProbe(deltas, times), [], []
    for step in range(31):
        if step == stop:
            state = probe.state_dict()
            probe = DriftProbe(deltas, times)
            probe.load_state_dict(state)
        if probe.due(step):
            embedded.append(step)
            rows += probe.record(step, kept[step])
    wanted = [
        (t, d, float((kept[t] - kept[t - d]).square().sum(1).mean()))
        for t in times
        for d in deltas
        if t >= d
    ]
    assert [(r["step"], r["delta"]) for r in rows] == [w[:2] for w in wanted]
    assert [r["drift"] for r in rows] == pytest.approx([w[2] for w in wanted])
    # No more embeddings than the pairs need, and none is held to the end.
    assert set(embedded) == {t for t, _, _ in wanted} | {t - d for t, d, _ in wanted}
    assert probe.state_dict() == {}


def test_bad_values():
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match=r"\(0,\)"):
        DriftProbe((0,), range(3))
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 3\)"):
        feature_drift(torch.zeros(2, 3), torch.zeros(3, 3))
