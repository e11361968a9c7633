"""Tests of the cross-batch memory against a deque and a plain list of slots."""

import copy
import io
from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xbmlib.queue import CrossBatchMemory, initialise

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def batch(n, dim=3, start=0):
    """Rows that differ: row r is all (start + r) % 256, which each dtype represents exactly."""
    rows = torch.arange(start, start + n)
    return (rows % 256)[:, None].expand(n, dim).float(), rows % 5 - 2, rows + 1000


def rows_of(*columns):
    """(embedding, label, id) rows of tensors, to compare with ==."""
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [(tuple(e), y, i) for e, y, i in rows]


def contents(memory):
    """The entries in order of slots."""
    return rows_of(memory.embeddings, memory.labels, memory.ids)


def by_file(memory):
    """A new memory, once filled with something else, from a saved state."""
    file = io.BytesIO()
    torch.save(memory.state_dict(), file)
    file.seek(0)
    other = CrossBatchMemory(memory.size, memory.dim, dtype=memory.features.dtype)
    other.enqueue(*batch(memory.size + 1, memory.dim, 77))
    other.load_state_dict(torch.load(file, weights_only=True))
    return other


def by_dict(memory):
    """A new memory from the state in memory."""
    other = CrossBatchMemory(memory.size, memory.dim, dtype=memory.features.dtype)
    other.load_state_dict(memory.state_dict())
    return other


@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(1, 23),
    dim=st.integers(1, 4),
    dtype=st.sampled_from(DTYPES),
    batches=st.lists(st.integers(0, 40), max_size=12),
    interrupt=st.integers(0, 11),
    carry=st.sampled_from([by_file, by_dict, copy.deepcopy]),
)
def test_first_in_first_out(size, dim, dtype, batches, interrupt, carry):
    """Oracle: collections.deque(maxlen=size), and a list whose slot r % size takes row r.

    Any sizes, a batch no divisor of the size or larger than it, and a copy or a saved and
    restored state on the way, after which the memory goes on as if nothing had happened.
    """
    memory, oracle, seen = CrossBatchMemory(size, dim, dtype=dtype), deque(maxlen=size), 0
    array = [None] * size
    for number, n in enumerate(batches):
        embeddings, labels, ids = batch(n, dim, seen)
        slots = memory.enqueue(embeddings, labels, ids)
        rows = rows_of(embeddings, labels, ids)
        oracle.extend(rows)
        for r, row in enumerate(rows):
            array[(seen + r) % size] = row
        assert slots.tolist() == [(seen + r) % size if r >= n - size else -1 for r in range(n)]
        seen += n
        assert contents(memory) == [row for row in array if row is not None]
        assert sorted(contents(memory)) == sorted(oracle)
        assert len(memory) == len(oracle) == len(memory.ids)
        assert memory.full == (seen >= size)
        assert memory.pointer == seen % size
        # The deque's newest entry is last; ages count from it.
        by_age = sorted(zip(memory.age.tolist(), memory.ids.tolist(), strict=True))
        assert by_age == list(enumerate(i for *_, i in reversed(oracle)))
        if number == interrupt:
            memory = carry(memory)


def test_a_size_that_the_batch_does_not_divide():
    """Oracle: slots by hand. The authors' queue overwrites its tail and restarts at 0."""
    memory = CrossBatchMemory(5, 1)
    slots = [memory.enqueue(*batch(3, 1, start)).tolist() for start in (0, 3, 6)]
    assert slots == [[0, 1, 2], [3, 4, 0], [1, 2, 3]]
    assert memory.features.flatten().tolist() == [5, 6, 7, 8, 4]
    assert memory.age.tolist() == [3, 2, 1, 0, 4]


def test_a_batch_larger_than_the_memory():
    """Oracle: slots by hand; the rows that are not kept have none."""
    memory = CrossBatchMemory(3, 1)
    memory.enqueue(*batch(1, 1))
    assert memory.enqueue(*batch(5, 1, 10)).tolist() == [-1, -1, 0, 1, 2]
    assert memory.features.flatten().tolist() == [12, 13, 14]
    assert memory.ids.tolist() == [1012, 1013, 1014]


def test_label_zero_and_negative_labels_fill():
    """Oracle: a count. The authors infer "full" from the last label being non-zero."""
    memory = CrossBatchMemory(4, 2)
    memory.enqueue(torch.ones(3, 2), torch.zeros(3, dtype=torch.int64))
    assert not memory.full and len(memory) == 3
    memory.enqueue(torch.ones(1, 2), torch.zeros(1, dtype=torch.int64))
    assert memory.full
    assert memory.labels.tolist() == [0, 0, 0, 0]
    memory.enqueue(torch.ones(1, 2), torch.tensor([-7]))
    assert memory.labels.tolist() == [-7, 0, 0, 0]


def test_the_state_holds_pointer_and_fill():
    """Oracle: by hand, partly filled and full.

    Peers save neither: what they resume starts again at slot 0, as if it were empty.
    """
    memory = CrossBatchMemory(5, 1)
    memory.enqueue(*batch(2, 1))
    resumed = by_file(memory)
    assert (len(resumed), resumed.pointer, resumed.full) == (2, 2, False)
    memory.enqueue(*batch(6, 1))
    resumed = by_file(memory)
    assert (len(resumed), resumed.pointer, resumed.full) == (5, 3, True)
    assert resumed.enqueue(*batch(1, 1)).tolist() == [3]


def test_the_state_travels_in_a_larger_model():
    """Oracle: the same contents, under another module's state_dict."""
    model = torch.nn.ModuleDict({"memory": CrossBatchMemory(3, 2)})
    model["memory"].enqueue(*batch(4, 2))
    other = torch.nn.ModuleDict({"memory": CrossBatchMemory(3, 2)})
    other.load_state_dict(model.state_dict())
    assert contents(other["memory"]) == contents(model["memory"])
    assert other["memory"].pointer == 1


def test_ids_are_optional():
    """Oracle: -1 where none were given, also over an entry that had one."""
    memory = CrossBatchMemory(2, 1)
    memory.enqueue(*batch(2, 1))
    memory.enqueue(*batch(1, 1)[:2])
    assert memory.ids.tolist() == [-1, 1001]


@each_dtype
def test_dtypes(dtype):
    """Oracle: the cast itself; labels and ids beyond the dtype's integers stay exact."""
    memory = CrossBatchMemory(3, 2, dtype=dtype)
    values = torch.rand(2, 2, dtype=torch.float64)
    labels, ids = torch.tensor([2**40 + 1, -3]), torch.tensor([2**53 + 1, 7])
    memory.enqueue(values, labels, ids)
    assert memory.embeddings.dtype == dtype
    assert torch.equal(memory.embeddings, values.to(dtype))
    assert torch.equal(memory.labels, labels)
    assert torch.equal(memory.ids, ids)


@each_dtype
def test_moves_with_to(dtype):
    """Oracle: the cast contents; integers and the pointer as before, and it goes on."""
    memory = CrossBatchMemory(3, 2)
    values = torch.rand(4, 2)
    memory.enqueue(values, torch.tensor([2**40 + 1, 2, 3, 4]), torch.arange(4) + 2**53 + 1)
    moved = memory.to(dtype)
    assert torch.equal(moved.embeddings, values[[3, 1, 2]].to(dtype))
    assert moved.labels.tolist() == [4, 2, 3]
    assert moved.ids.tolist() == [2**53 + 4, 2**53 + 2, 2**53 + 3]
    assert moved.enqueue(torch.zeros(1, 2), torch.tensor([9])).tolist() == [1]
    assert moved.labels.tolist() == [4, 9, 3] and moved.embeddings.dtype == dtype


def test_a_copy_goes_its_own_way():
    """Oracle: the original, untouched by what its copy takes in, and the reverse."""
    memory = CrossBatchMemory(3, 2)
    memory.enqueue(*batch(2, 2))
    copied, before = copy.deepcopy(memory), contents(memory)
    copied.enqueue(*batch(4, 2, 50))
    assert contents(memory) == before and memory.pointer == 2
    after = contents(copied)
    memory.enqueue(*batch(4, 2, 90))
    assert contents(copied) == after


def test_detached_copies():
    """Oracle: later changes of the batch do not reach the memory, nor does a gradient."""
    memory = CrossBatchMemory(2, 2)
    leaf = torch.ones(2, 2, requires_grad=True)
    embeddings = leaf * 1
    memory.enqueue(embeddings, torch.tensor([0, 1]))
    with torch.no_grad():
        embeddings.fill_(5)
    assert not memory.embeddings.requires_grad and not memory.features.requires_grad
    assert memory.embeddings.tolist() == [[1, 1], [1, 1]]
    assert not list(memory.parameters())


def test_backward_through_the_batch_after_it_was_enqueued():
    """Oracle: d(Σ x²)/dx = 2x, whatever the memory has displaced by then."""
    memory = CrossBatchMemory(2, 2)
    leaf = torch.ones(2, 2, requires_grad=True)
    embeddings = leaf * 3
    loss = embeddings.square().sum()
    for _ in range(2):
        memory.enqueue(embeddings, torch.tensor([0, 1]))
    loss.backward()
    assert leaf.grad.tolist() == [[18, 18], [18, 18]]


def test_reset():
    """Oracle: a new memory."""
    memory = CrossBatchMemory(3, 2)
    memory.enqueue(*batch(5, 2))
    memory.reset()
    fresh = CrossBatchMemory(3, 2)
    for key, value in memory.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[key])
    assert len(memory) == memory.pointer == 0 and not memory.full
    assert memory.embeddings.shape == (0, 2) and memory.age.shape == (0,)


def test_an_empty_memory_is_true():
    """Oracle: ``if memory`` asks whether there is one, as of any module."""
    assert CrossBatchMemory(3, 2) and len(CrossBatchMemory(3, 2)) == 0


@pytest.mark.parametrize("other", [(4, 2), (3, 1)])
def test_other_sizes_are_refused(other):
    """Oracle: the message names the tensor."""
    with pytest.raises(RuntimeError, match="features"):
        CrossBatchMemory(3, 2).load_state_dict(CrossBatchMemory(*other).state_dict())


def test_a_state_without_its_pointer_is_refused():
    """Oracle: the message names what is missing, as torch does for any state."""
    state = CrossBatchMemory(3, 2).state_dict()
    del state["_extra_state"]
    with pytest.raises(RuntimeError, match="_extra_state"):
        CrossBatchMemory(3, 2).load_state_dict(state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2), "size=0"),
        ((-3, 2), "size=-3"),
        ((2.5, 2), "size=2.5"),
        ((True, 2), "size=True"),
        (("4", 2), "size='4'"),
        ((2, 0), "dim=0"),
        ((2, -1), "dim=-1"),
    ],
)
def test_bad_sizes(arguments, message):
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match=message):
        CrossBatchMemory(*arguments)


def test_bad_dtype():
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match="int32"):
        CrossBatchMemory(2, 2, dtype=torch.int32)


INTEGERS = torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("embeddings", "labels", "ids", "message"),
    [
        (torch.zeros(2, 3), INTEGERS, None, r"\(2, 3\).*\(B, 2\)"),
        (torch.zeros(2), INTEGERS, None, r"\(2,\).*\(B, 2\)"),
        (torch.zeros(1, 2, 2), INTEGERS, None, r"\(1, 2, 2\).*\(B, 2\)"),
        (torch.zeros(2, 2), torch.zeros(3, dtype=torch.int64), None, r"labels.*\(3,\).*2"),
        (torch.zeros(2, 2), INTEGERS[:, None], None, r"labels.*\(2, 1\)"),
        (torch.zeros(2, 2), torch.zeros(2), None, "labels.*float32.*integers"),
        (torch.zeros(2, 2), INTEGERS, INTEGERS[:1], r"ids.*\(1,\).*2"),
        (torch.zeros(2, 2), INTEGERS, torch.zeros(2), "ids.*float32.*integers"),
    ],
)
def test_bad_batches_leave_the_memory_alone(embeddings, labels, ids, message):
    """Oracle: the message names what is wrong, and the entries are those of before."""
    memory = CrossBatchMemory(4, 2)
    memory.enqueue(*batch(3, 2))
    before = contents(memory)
    with pytest.raises(ValueError, match=message):
        memory.enqueue(embeddings, labels, ids)
    assert contents(memory) == before and memory.pointer == 3


def three_batches():
    """Eight images in batches of 3, 3 and 2, with labels and ids of their own."""
    images = torch.arange(8.0)[:, None].expand(8, 2)
    numbers = torch.arange(8)
    return images, [
        (images[i : i + 3], numbers[i : i + 3] - 4, numbers[i : i + 3]) for i in (0, 3, 6)
    ]


def test_initialise_fills_with_the_models_features():
    """Oracle: the features computed directly, cut to M (Section 3.3); what was held is gone.

    No image is embedded beyond those that there is room for, and none takes a gradient.
    """
    memory = CrossBatchMemory(5, 2)
    memory.enqueue(torch.full((2, 2), 9.0), torch.tensor([9, 9]))
    images, batches = three_batches()
    embedded = []
    weight = torch.tensor(2.0, requires_grad=True)

    def embed(x):
        embedded.extend(x[:, 0].tolist())
        out = weight * x
        assert not out.requires_grad
        return out

    initialise(memory, embed, batches)
    assert memory.full and memory.pointer == 0
    assert torch.equal(memory.embeddings, 2 * images[:5])
    assert memory.labels.tolist() == [-4, -3, -2, -1, 0]
    assert memory.ids.tolist() == [0, 1, 2, 3, 4]
    assert embedded == [0, 1, 2, 3, 4]


def test_initialise_from_too_few_images():
    """Oracle: all eight, and the next entry goes to the ninth slot."""
    memory = CrossBatchMemory(11, 2)
    images, batches = three_batches()
    initialise(memory, lambda x: x, batches)
    assert torch.equal(memory.embeddings, images)
    assert len(memory) == memory.pointer == 8 and not memory.full


def test_shadow_follows_the_memory():
    """Oracle: its definition, through wrapping, resuming and forgetting."""
    memory, dim = CrossBatchMemory(30, 4, shadow=True), 4
    for seed in range(2):
        rows = torch.randn(20, dim, generator=torch.Generator().manual_seed(seed))
        memory.enqueue(rows, torch.arange(20))
    other = CrossBatchMemory(30, dim, shadow=True)
    other.load_state_dict(memory.state_dict())
    for held in (memory, other):
        entries, norm = held.shadow
        assert torch.equal(entries, held.embeddings.bfloat16())
        assert norm == held.embeddings.norm(dim=1).max()
    memory.enqueue(50 * torch.eye(dim)[:3], torch.arange(3))
    assert memory.shadow.norm == 50
    memory.reset()
    assert memory.shadow.entries.shape == (0, dim) and memory.shadow.norm == 0
    assert CrossBatchMemory(4, dim).shadow is None
    assert set(other.state_dict()) == set(CrossBatchMemory(30, dim).state_dict())


def test_initialise_without_ids():
    """Oracle: by hand: -1 for each entry, as of a batch without ids."""
    memory, images = CrossBatchMemory(5, 2), torch.arange(8.0)[:, None].expand(8, 2)
    initialise(memory, lambda x: x, [(images, torch.arange(8), None)])
    assert memory.labels.tolist() == [0, 1, 2, 3, 4] and memory.ids.tolist() == [-1] * 5
