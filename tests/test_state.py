"""Tests that a state or call which is refused leaves everything as it was."""

import copy

import pytest
import torch

from xbmlib.drift import DriftProbe, feature_drift
from xbmlib.losses import ContrastiveLoss, TripletLoss
from xbmlib.queue import CrossBatchMemory
from xbmlib.xbm import XBM


def held(memory):
    """Copies of all of a module's state."""
    return copy.deepcopy(memory.state_dict())


def same(module, before):
    """Whether the state is as before, to the last bit."""
    after = module.state_dict()
    return all(torch.equal(after[name], value) for name, value in before.items())


def filled(size, dim, count, **named):
    """A queue after ``count`` entries."""
    memory = CrossBatchMemory(size, dim, **named)
    memory.enqueue(torch.ones(count, dim), torch.arange(count) + 1)
    return memory


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", ["features", "classes", "instances", "_extra_state"])
@pytest.mark.parametrize("change", ["missing", "larger", "other kind"])
def test_a_refused_state_of_a_queue(name, change, strict):
    """Oracle: the state before, and a count that is that of the entries."""
    memory, state = filled(5, 2, 3), filled(5, 2, 5).state_dict()
    before = held(memory)
    if change == "missing":
        del state[name]
    elif change == "larger":
        state[name] = torch.cat([state[name].reshape(-1, *state[name].shape[1:])] * 2)
    else:
        kind = torch.int64 if name == "features" else torch.float32
        state[name] = state[name].to(kind)
    for module, prefix in ((memory, ""), (torch.nn.ModuleDict({"m": memory}), "m.")):
        named = {prefix + key: value for key, value in state.items()}
        with pytest.raises(RuntimeError, match=name):
            module.load_state_dict(named, strict=strict)
        assert same(memory, before) and len(memory) == 3 and not memory.full


@pytest.mark.parametrize("count", [-1, 2.0])
def test_a_count_that_is_none(count):
    """Oracle: the state before."""
    memory, state = filled(5, 2, 3), filled(5, 2, 5).state_dict()
    before = held(memory)
    state["_extra_state"] = torch.tensor(count)
    with pytest.raises((ValueError, RuntimeError), match=r"count|float32"):
        memory.load_state_dict(state)
    assert same(memory, before)


def test_a_refused_state_of_all_in_one():
    """Oracle: the state before: memory, steps and the loss's own parameters."""

    class Learnt(TripletLoss):
        def __init__(self, n):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(n))

    xbm, others = XBM(Learnt(2), size=5, dim=2, start=0), []
    xbm(torch.eye(2).requires_grad_(), torch.arange(2))
    before = held(xbm)
    for loss, size, dim in ((Learnt(2), 6, 2), (Learnt(2), 5, 3), (Learnt(3), 5, 2)):
        other = XBM(loss, size=size, dim=dim, start=0)
        for _ in range(4):
            other(torch.eye(dim)[:2].requires_grad_(), torch.arange(2))
        torch.nn.init.zeros_(other.loss.scale)
        others.append(other.state_dict())
    others.append({name: v for name, v in before.items() if name != "memory.classes"})
    for state in others:
        with pytest.raises(RuntimeError, match="stays as it was"):
            xbm.load_state_dict(state)
        assert same(xbm, before) and xbm.steps == 1 and len(xbm.memory) == 2


@pytest.mark.parametrize("chain", ["half", "double", "half float", "bfloat16", "to"])
def test_a_shadow_stays_bfloat16(chain):
    """Oracle: its definition on the entries as they are, and the loss against these entries."""
    memory = CrossBatchMemory(40, 4, shadow=True)
    v = torch.nn.functional.normalize(
        torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    )
    labels = torch.arange(40) % 5
    memory.enqueue(v, labels)
    for name in chain.split():
        memory = memory.to("cpu", torch.float64) if name == "to" else getattr(memory, name)()
    entries, norm = memory.shadow
    assert entries.dtype == torch.bfloat16 and norm.dtype == torch.float32
    assert torch.equal(entries, memory.embeddings.bfloat16())
    assert norm == memory.embeddings.float().norm(dim=1).max()
    wanted = ContrastiveLoss()(v[:9], labels[:9], memory.embeddings.clone(), memory.labels)
    assert ContrastiveLoss()(v[:9], labels[:9], memory).item() == pytest.approx(wanted.item())
    memory.enqueue(2 * v[:3], labels[:3])
    assert torch.equal(memory.shadow.entries, memory.embeddings.bfloat16())


def test_a_drift_probe_refuses():
    """Oracle: the state before, and what a probe without the refusals then measures."""
    one = torch.ones(3, 2)
    probe = DriftProbe([1], [2, 5])
    with pytest.raises(ValueError, match="step=2 is compared with step 1, which was not recorded"):
        probe.record(2, one)
    probe.record(1, one)
    for step, embeddings, message in (
        (3, one, "step=3 is not due"),
        (2, one[:2], r"\(2, 2\).*\(3, 2\)"),
        (2, one[0], r"\(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            probe.record(step, embeddings)
        assert probe.state_dict().keys() == {"1"}
    for state, message in (
        ({"7": one}, "step 7"),
        ({"1": one, "4": one[:2]}, "equally many"),
        ({"1": 3}, "equally many"),
    ):
        with pytest.raises(ValueError, match=message):
            probe.load_state_dict(state)
        assert torch.equal(probe.state_dict()["1"], one)
    assert probe.record(2, 2 * one)[0]["drift"] == 2.0


def test_drift_of_half_precision():
    """Oracle: float64; a square beyond float16."""
    now, then = torch.full((1, 2), 300.0).half(), torch.zeros(1, 2).half()
    assert feature_drift(now, then).item() == 180_000


def test_a_part_of_a_larger_module_may_be_left_out():
    """Oracle: what torch returns for any module whose names a state does not hold."""
    parts = torch.nn.ModuleDict({"net": torch.nn.Linear(2, 2), "xbm": filled_xbm()})
    before = held(parts["xbm"])
    net = {f"net.{name}": value + 1 for name, value in parts["net"].state_dict().items()}
    found = parts.load_state_dict(net, strict=False)
    assert set(found.missing_keys) == {f"xbm.{name}" for name in before}
    assert same(parts["xbm"], before) and same(parts["net"], {k[4:]: v for k, v in net.items()})
    assert parts["xbm"].load_state_dict({}, strict=False).missing_keys
    with pytest.raises(RuntimeError, match="xbm"):
        parts.load_state_dict(net)


def filled_xbm():
    """A step counted and a batch enqueued."""
    xbm = XBM(ContrastiveLoss(), size=4, dim=2, start=0)
    xbm(torch.eye(2, requires_grad=True), torch.arange(2))
    return xbm
