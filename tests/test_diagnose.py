"""Tests of what a diagnosis measures, and of when it warns."""

import warnings

import pytest
import torch
from torch.nn.functional import normalize

from xbmlib import XBM, ContrastiveLoss, CrossBatchMemory
from xbmlib.diagnose import CollapseWarning, Diagnosis, Health, health


def case(seed, dtype=torch.float32):
    """A memory of 40 into which 6 batches went, the last of them smaller; all, and its slots."""
    generator = torch.Generator().manual_seed(seed)
    memory, batches = CrossBatchMemory(40, 4, dtype=dtype), []
    for m in (8, 8, 8, 8, 8, 5):
        v = normalize(torch.randn(m, 4, generator=generator), dim=1)
        labels = torch.randint(0, 4, (m,), generator=generator)
        ids = torch.randperm(20, generator=generator)[:m]
        batches.append((v, labels, ids))
        own = memory.enqueue(v, labels, ids)
    return memory, batches, own


def mean(values):
    """Of a list; None of an empty one."""
    return sum(values) / len(values) if values else None


@pytest.mark.parametrize("seed", range(4))
def test_health_equals_a_loop(seed):
    """Oracle: a loop over all pairs of the last batch and the last 40 entries, counted back."""
    memory, batches, own = case(seed)
    loss, (v, labels, ids) = ContrastiveLoss(0.3), batches[-1]
    loss(v, labels, memory, own=own)
    found = health(v, labels, memory, valid=loss.valid, ids=ids)
    rows = list(zip(v.tolist(), labels.tolist(), ids.tolist(), strict=True))
    queued = [row for batch in batches for row in zip(*(p.tolist() for p in batch), strict=True)]
    held = [(age, *row) for age, row in enumerate(reversed(queued))][:40]

    def dot(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    within = [dot(a, b) for a, y, _ in rows for b, z, _ in rows if y != z]
    across = [dot(a, b) for a, y, _ in rows for _, b, z, _ in held if y != z]
    drifts = [
        (sum((x - w) ** 2 for x, w in zip(a, b, strict=True)), age - at)
        for at, (a, _, i) in enumerate(reversed(rows))
        for age, b, _, j in held
        if i == j and age >= len(rows)
    ]
    wanted = Health(
        batch_similarity=mean(within),
        memory_similarity=mean(across),
        valid_share=mean([float(s > 0.3) for s in across]),
        age_mean=19.5,
        age_max=39,
        drift=mean([d for d, _ in drifts]),
        drift_age=mean([age for _, age in drifts]),
    )
    assert drifts and found == pytest.approx(wanted, abs=1e-5)


def test_without_a_negative_an_id_or_valid_pairs():
    """Oracle: by hand: one class, one batch; what cannot be measured is in no row."""
    memory, v, labels = CrossBatchMemory(8, 2), torch.eye(2), torch.tensor([3, 3])
    memory.enqueue(v, labels)
    assert health(v, labels, memory) == Health(None, None, None, 0.5, 1, None, None)
    assert health(v, labels, memory, ids=torch.tensor([-1, -1])).drift is None
    assert health(v, labels, memory).row() == {"age_mean": 0.5, "age_max": 1}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_dtypes(dtype):
    """Oracle: the memory of float32; bfloat16 rounds an entry by up to 2^-9 of its norm."""
    (memory, batches, _), (other, *_) = case(0), case(0, dtype)
    v, labels, ids = batches[-1]
    found, wanted = (health(v, labels, m, ids=ids) for m in (other, memory))
    assert found == pytest.approx(wanted, abs=0.02)


def test_nothing_takes_part_in_a_gradient():
    """Oracle: autograd: anchors that require gradient are measured, and get none."""
    memory, batches, _ = case(0)
    v = batches[-1][0].clone().requires_grad_()
    health(v, *batches[-1][1:2], memory)
    assert v.grad is None and not memory.embeddings.requires_grad


def test_what_does_not_fit_is_refused():
    """Oracle: messages that name the value and the remedy."""
    memory = CrossBatchMemory(8, 2)
    with pytest.raises(ValueError, match="memory of 0: enqueue a batch, then measure"):
        health(torch.eye(2), torch.tensor([0, 1]), memory)
    with pytest.raises(ValueError, match="this memory takes"):
        health(torch.eye(3), torch.tensor([0, 1, 2]), memory)
    xbm = XBM(ContrastiveLoss(), size=8, dim=2)
    with pytest.raises(ValueError, match=r"memory of type XBM: .* say XBM's \.memory"):
        health(torch.eye(2), torch.tensor([0, 1]), xbm)
    with pytest.raises(ValueError, match="similarity='0.4': give a number"):
        Diagnosis(similarity="0.4")
    for name, value in (("every", 0), ("similarity", 1.5), ("share", -0.1), ("patience", 0)):
        with pytest.raises(ValueError, match=f"{name}={value}"):
            Diagnosis(**{name: value})


def steps(diagnosis, similarities, valid=True):
    """Steps whose two anchors, of two classes, have these similarities; the warnings by step."""
    memory, labels = CrossBatchMemory(4, 2), torch.tensor([0, 1])
    loss, found = ContrastiveLoss(0.5), []
    for step, s in enumerate(similarities, diagnosis.steps + 1):
        v = torch.tensor([[1.0, 0.0], [s, (1 - s * s) ** 0.5]])
        own = memory.enqueue(v, labels)
        loss(v, labels, memory, own=own)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            diagnosis(v, labels, memory, valid=loss.valid if valid else None)
        found += [(step, w) for w in caught]
    return found


def test_it_warns_once_after_as_many_checks_in_a_row():
    """Oracle: by hand: every second step is a check; three in a row above 0.9 are steps 6 to 10."""
    diagnosis = Diagnosis(2, similarity=0.9, share=0.05, patience=3)
    high = [1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1]
    ((step, warning),) = steps(diagnosis, [0.99 if h else 0.1 for h in high])
    assert step == 10 and diagnosis.warned and warning.category is CollapseWarning
    for part in ("step 10", "0.99", "100% of the memory's negatives", "start", "λ", "no memory"):
        assert part in str(warning.message)


def test_valid_negatives_decide_where_they_are_known():
    """Oracle: by hand: at λ = 0.995 no pair is valid; without the count the similarity decides."""
    few = torch.tensor([0, 0])
    for valid, wanted in ((ContrastiveLoss(0.995), 0), (None, 1)):
        diagnosis, memory = Diagnosis(1, patience=2), CrossBatchMemory(4, 2)
        v, labels = torch.tensor([[1.0, 0.0], [0.99, 0.1411]]), torch.tensor([0, 1])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(4):
                own = memory.enqueue(v, labels)
                if valid:
                    valid(v, labels, memory, own=own)
                    assert valid.valid.negatives.equal(few)
                diagnosis(v, labels, memory, valid=valid.valid if valid else None)
        assert len(caught) == wanted


def test_a_resumed_diagnosis_goes_on():
    """Oracle: the diagnosis that was never stopped: the same step, and no second warning."""
    whole, first = Diagnosis(1, patience=4), Diagnosis(1, patience=4)
    ((wanted, _),) = steps(whole, [0.99] * 6)
    assert steps(first, [0.99] * 2) == []
    second = Diagnosis(1, patience=4)
    second.load_state_dict(first.state_dict())
    ((found, _),) = steps(second, [0.99] * 4)
    assert found == wanted == 4
    third = Diagnosis(1, patience=4)
    third.load_state_dict(second.state_dict())
    assert steps(third, [0.99] * 6) == []


@pytest.mark.parametrize(
    "fault", [{"alike": None}, {"steps": "x"}, {"steps": -1}, {"warned": ...}, None]
)
def test_a_refused_state_changes_nothing(fault):
    """Oracle: the state before; ``...`` stands for a key that is missing."""
    diagnosis, other = Diagnosis(1, patience=4), Diagnosis(1, patience=4)
    steps(diagnosis, [0.99] * 2)
    steps(other, [0.99] * 6)
    before = diagnosis.state_dict()
    state = other.state_dict() | (fault or {})
    state = {name: value for name, value in state.items() if value is not ...}
    with pytest.raises(ValueError, match=r"give"):
        diagnosis.load_state_dict(state if fault else None)
    assert diagnosis.state_dict() == before


def test_nothing_is_measured_between_checks_or_of_an_empty_memory():
    """Oracle: by hand."""
    diagnosis, memory = Diagnosis(2), CrossBatchMemory(4, 2)
    v, labels = torch.eye(2), torch.tensor([0, 1])
    assert diagnosis(v, labels, memory) is diagnosis(v, labels, memory) is None
    memory.enqueue(v, labels)
    assert diagnosis(v, labels, memory) is None
    assert diagnosis(v, labels, memory).batch_similarity == 0
    assert diagnosis.steps == 4


def test_autocast_rounds_nothing():
    """Oracle: the same without autocast."""
    v = torch.nn.functional.normalize(torch.randn(16, 8) + 9)
    labels, memory = torch.arange(16) // 4, CrossBatchMemory(40, 8)
    for _ in range(3):
        memory.enqueue(v, labels)
    wanted = health(v, labels, memory)
    with torch.autocast("cpu", torch.bfloat16):
        assert health(v, labels, memory) == wanted
