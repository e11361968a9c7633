"""Tests of the batch samplers against counts."""

import warnings
from collections import Counter
from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from xbmlib.sampler import PKSampler, ShuffleSampler


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    p=st.integers(1, 5),
    k=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_pk_batches(sizes, p, k, seed):
    """Oracle: counting. P classes × K images; an image comes twice only after all came once."""
    p = min(p, len(sizes))
    labels = torch.cat([torch.full((n,), 7 - c) for c, n in enumerate(sizes)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    for batch in PKSampler(labels, p, k, steps=7, seed=seed):
        classes = Counter(labels[batch].tolist())
        assert len(classes) == p and set(classes.values()) == {k}
        images = Counter(batch)
        for c in classes:
            size = sizes[7 - c]
            counts = [images[i] for i in (labels == c).nonzero().squeeze(1).tolist()]
            assert sum(counts) == k
            assert max(counts) - min(counts) <= 1 and max(counts) == -(-k // size)


def test_pk_visits_every_class_at_one_rate():
    """Oracle: a pass of floor(C / P) batches visits each class at most once.

    With C a multiple of P each class is visited exactly once a pass; otherwise the expected
    share is floor(C / P) · P / C, and over many passes no class strays from its binomial.
    """
    labels = torch.arange(10).repeat_interleave(3)
    sampler = PKSampler(labels, 5, 2, steps=40, seed=3)
    for i in range(0, 40, 2):
        both = sampler.batch(i) + sampler.batch(i + 1)
        assert Counter(labels[both].tolist()) == dict.fromkeys(range(10), 2)
    passes = 600
    sampler = PKSampler(labels, 4, 1, steps=2 * passes, seed=3)
    visits = Counter(int(labels[i]) for batch in sampler for i in batch)
    expected, spread = passes * 0.8, (passes * 0.8 * 0.2) ** 0.5
    assert all(abs(visits[c] - expected) < 5 * spread for c in range(10))


def test_images_of_a_class_come_equally_often():
    """Oracle: the binomial of drawing 2 of 6 images."""
    labels = torch.arange(4).repeat_interleave(6)
    counts = Counter(i for batch in PKSampler(labels, 4, 2, steps=900) for i in batch)
    assert all(abs(counts[i] - 300) < 5 * (900 * 1 / 3 * 2 / 3) ** 0.5 for i in range(24))


def test_shuffle_covers_each_pass_once():
    """Oracle: a pass of floor(n / batch) batches holds no image twice; all, if it divides."""
    sampler = ShuffleSampler(12, 4, steps=9, seed=1)
    batches = list(sampler)
    for i in range(0, 9, 3):
        assert sorted(chain(*batches[i : i + 3])) == list(range(12))
    assert batches[:3] != batches[3:6]
    loose = list(ShuffleSampler(13, 4, steps=30))
    for i in range(0, 30, 3):
        assert len(set(chain(*loose[i : i + 3]))) == 12
    assert set(chain(*loose)) == set(range(13))


@pytest.mark.parametrize(
    "make",
    [
        lambda **kw: PKSampler(torch.arange(30) % 7, 3, 2, **kw),
        lambda **kw: ShuffleSampler(30, 6, **kw),
    ],
)
def test_seeded_and_resumable(make):
    """Oracle: the undisturbed sequence."""
    whole = list(make(steps=25, seed=4))
    assert list(make(steps=25, seed=4)) == whole
    assert list(make(steps=25, seed=5)) != whole
    rest = make(steps=25, seed=4)
    rest.start = 11
    assert len(rest) == 14
    assert list(rest) == whole[11:]


def test_data_loader_takes_it_without_a_warning():
    """Oracle: the indices themselves, with warnings as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler = PKSampler(torch.arange(12) % 4, 2, 2, steps=5)
        loader = DataLoader(TensorDataset(torch.arange(12)), batch_sampler=sampler)
        assert [x.tolist() for (x,) in loader] == list(sampler)
        assert len(loader) == 5


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: PKSampler(torch.arange(3), 4, 1, steps=1), "p=4"),
        (lambda: PKSampler(torch.arange(3), 0, 1, steps=1), "p=0"),
        (lambda: PKSampler(torch.arange(3), 1, 0, steps=1), "k=0"),
        (lambda: PKSampler(torch.zeros(2, 2), 1, 1, steps=1), r"\(2, 2\)"),
        (lambda: PKSampler(torch.arange(3), 1, 1, steps=-1), "steps=-1"),
        (lambda: ShuffleSampler(3, 4, steps=1), "batch=4"),
    ],
)
def test_bad_values(make, told):
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match=told):
        make()
