"""Tests of the cross-batch memory against a deque."""

import copy
import io
from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xbmlib.queue import CrossBatchMemory, initialise


def batch(n, dim=3, start=0):
    """Rows that can be told apart: row r is all start + r."""
    rows = torch.arange(start, start + n)
    return rows[:, None].expand(n, dim).float(), rows % 5 - 2, rows + 1000


def contents(memory):
    """The entries as a sorted list of (embedding, label, id)."""
    rows = zip(memory.embeddings.tolist(), memory.labels.tolist(), memory.ids.tolist(), strict=True)
    return sorted((tuple(e), y, i) for e, y, i in rows)


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 23),
    batches=st.lists(st.integers(0, 40), max_size=12),
    interrupt=st.integers(0, 12),
)
def test_first_in_first_out(size, batches, interrupt):
    """Oracle: collections.deque(maxlen=size), through a saved and restored state on the way."""
    memory, oracle, seen = CrossBatchMemory(size, 3), deque(maxlen=size), 0
    for number, n in enumerate(batches):
        embeddings, labels, ids = batch(n, start=seen)
        slots = memory.enqueue(embeddings, labels, ids)
        oracle.extend(
            (tuple(e), y, i)
            for e, y, i in zip(embeddings.tolist(), labels.tolist(), ids.tolist(), strict=True)
        )
        seen += n
        assert contents(memory) == sorted(oracle)
        assert len(memory) == len(oracle)
        assert memory.full == (seen >= size)
        kept = slots >= 0
        assert kept.tolist() == [row >= n - size for row in range(n)]
        assert torch.equal(memory.embeddings[slots[kept]], embeddings[kept])
        assert torch.equal(memory.labels[slots[kept]], labels[kept])
        assert torch.equal(memory.ids[slots[kept]], ids[kept])
        # The deque's newest entry is last; ages count from it.
        by_age = memory.ids[memory.age.argsort()].tolist()
        assert by_age == [i for _, _, i in reversed(oracle)]
        if number == interrupt:
            file = io.BytesIO()
            torch.save(memory.state_dict(), file)
            file.seek(0)
            memory = CrossBatchMemory(size, 3)
            memory.load_state_dict(torch.load(file, weights_only=True))


def test_label_zero_and_negative_labels_fill():
    """Oracle: a count. Peers infer "full" from the last label being non-zero."""
    memory = CrossBatchMemory(4, 2)
    memory.enqueue(torch.ones(4, 2), torch.zeros(4, dtype=torch.int64))
    assert memory.full
    assert memory.labels.tolist() == [0, 0, 0, 0]
    memory.enqueue(torch.ones(1, 2), torch.tensor([-7]))
    assert sorted(memory.labels.tolist()) == [-7, 0, 0, 0]


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str
)
def test_dtypes(dtype):
    """Oracle: the cast itself; labels beyond the dtype's integers stay exact."""
    memory = CrossBatchMemory(3, 2, dtype=dtype)
    values = torch.rand(2, 2, dtype=torch.float64)
    labels = torch.tensor([2**40 + 1, -3])
    memory.enqueue(values, labels)
    assert memory.embeddings.dtype == dtype
    assert torch.equal(memory.embeddings, values.to(dtype))
    assert torch.equal(memory.labels, labels)


def test_moves_with_to_and_copies():
    """Oracle: the same contents before and after; a copy goes its own way."""
    memory = CrossBatchMemory(3, 2)
    memory.enqueue(torch.ones(4, 2), torch.tensor([2**40 + 1, 2, 3, 4]))
    moved = copy.deepcopy(memory).to(torch.bfloat16)
    assert moved.embeddings.dtype == torch.bfloat16
    assert moved.labels.tolist() == memory.labels.tolist()
    assert moved.pointer == memory.pointer == 1
    moved.enqueue(torch.zeros(1, 2), torch.tensor([9]))
    assert 9 not in memory.labels.tolist()


def test_detached_copies():
    """Oracle: later changes of the batch do not reach the memory, nor does a gradient."""
    memory = CrossBatchMemory(2, 2)
    embeddings = torch.ones(2, 2, requires_grad=True)
    memory.enqueue(embeddings * 1, torch.tensor([0, 1]))
    with torch.no_grad():
        embeddings.fill_(5)
    assert not memory.embeddings.requires_grad
    assert memory.embeddings.tolist() == [[1, 1], [1, 1]]


def test_reset():
    """Oracle: a new memory."""
    memory = CrossBatchMemory(3, 2)
    memory.enqueue(*(t[:, :2] if t.ndim == 2 else t for t in batch(5)))
    memory.reset()
    fresh = CrossBatchMemory(3, 2)
    for key, value in memory.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[key])
    assert len(memory) == 0 and not memory.full


def test_other_size_is_refused():
    """Oracle: the message names the tensor."""
    with pytest.raises(RuntimeError, match="features"):
        CrossBatchMemory(3, 2).load_state_dict(CrossBatchMemory(4, 2).state_dict())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((0, 2), "size=0"),
        ((2.5, 2), "size=2.5"),
        ((True, 2), "size=True"),
        ((2, -1), "dim=-1"),
    ],
)
def test_bad_sizes(arguments, told):
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match=told):
        CrossBatchMemory(*arguments)


def test_bad_dtype():
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match="int32"):
        CrossBatchMemory(2, 2, dtype=torch.int32)


@pytest.mark.parametrize(
    ("embeddings", "labels", "ids", "told"),
    [
        (torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), None, r"\(2, 3\).*\(B, 2\)"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int64), None, r"\(2,\)"),
        (torch.zeros(2, 2), torch.zeros(3, dtype=torch.int64), None, "labels"),
        (torch.zeros(2, 2), torch.zeros(2), None, "integers"),
        (torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64), torch.zeros(1), "ids"),
    ],
)
def test_bad_batches_leave_the_memory_alone(embeddings, labels, ids, told):
    """Oracle: the message names what is wrong, and nothing was stored."""
    memory = CrossBatchMemory(4, 2)
    with pytest.raises(ValueError, match=told):
        memory.enqueue(embeddings, labels, ids)
    assert len(memory) == 0


def test_initialise_fills_with_the_models_features():
    """Oracle: the features computed directly, cut to M (Section 3.3)."""
    memory = CrossBatchMemory(5, 2)
    memory.enqueue(torch.full((2, 2), 9.0), torch.tensor([9, 9]))
    images = torch.arange(8.0)[:, None].expand(8, 2)
    batches = [
        (images[i : i + 3], torch.arange(i, min(i + 3, 8)), torch.arange(i, min(i + 3, 8)))
        for i in (0, 3, 6)
    ]
    initialise(memory, lambda x: 2 * x, batches)
    assert memory.full and memory.pointer == 0
    assert torch.equal(memory.embeddings, 2 * images[:5])
    assert memory.ids.tolist() == [0, 1, 2, 3, 4]
