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
    """Oracle: counting. P classes × K images; an image repeats only once all have occurred."""
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


@settings(max_examples=60, deadline=None)
@given(
    classes=st.integers(1, 14),
    p=st.integers(1, 14),
    seed=st.integers(0, 99),
    pk=st.booleans(),
    step=st.integers(0, 60),
)
def test_visits_are_even_across_permutations(classes, p, seed, pk, step):
    """Oracle: counting. After t batches of P, each of C was visited floor(t·P / C) times or once
    more, and never twice in a batch, even where P does not divide C; a batch does not depend on
    the order in which batches are taken.
    """
    p = min(p, classes)
    if pk:
        sampler = PKSampler(torch.arange(classes), p, 1, steps=61, seed=seed)
    else:
        sampler = ShuffleSampler(classes, p, steps=61, seed=seed)
    visits = Counter(dict.fromkeys(range(classes), 0))
    batches = list(sampler)
    for t, batch in enumerate(batches, 1):
        assert len(set(batch)) == p
        visits.update(batch)
        assert set(visits.values()) <= {t * p // classes, t * p // classes + 1}
    assert sampler.batch(step) == batches[step]
    assert sampler.batch(0) == batches[0]


def test_each_permutation_is_independent():
    """Oracle: the number of the 720 orders of 6 that occur in 1,000 independent draws."""
    sampler = PKSampler(torch.arange(6), 3, 1, steps=2000)
    orders = {tuple(sampler.batch(2 * i) + sampler.batch(2 * i + 1)) for i in range(1000)}
    # 720 · (1 - exp(-1000 / 720)) = 540 different ones, give or take 10.
    assert 490 < len(orders) < 590


def test_images_of_a_class_occur_equally_often():
    """Oracle: the binomial of drawing 2 of 6 images."""
    labels = torch.arange(4).repeat_interleave(6)
    counts = Counter(i for batch in PKSampler(labels, 4, 2, steps=900) for i in batch)
    assert all(abs(counts[i] - 300) < 5 * (900 * 1 / 3 * 2 / 3) ** 0.5 for i in range(24))


def test_shuffled_batches_cover_each_epoch_once():
    """Oracle: counting. Each n images in succession are a permutation of all, each another one."""
    batches = list(ShuffleSampler(13, 4, steps=39, seed=1))
    images = list(chain(*batches))
    passes = [tuple(images[i : i + 13]) for i in range(0, 156, 13)]
    assert all(sorted(order) == list(range(13)) for order in passes)
    assert len(set(passes)) == 12


@pytest.mark.parametrize(
    "make",
    [
        lambda **kw: PKSampler(torch.arange(30) % 7, 3, 2, **kw),
        lambda **kw: ShuffleSampler(32, 6, **kw),
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


@pytest.mark.parametrize("make", [
    lambda **kw: PKSampler(torch.arange(30) % 7, 3, 2, **kw),
    lambda **kw: ShuffleSampler(32, 6, **kw),
])  # fmt: skip
def test_steps_below_0_are_refused(make):
    """Oracle: the message; a start that is no whole number too."""
    sampler = make(steps=5, seed=0)
    with pytest.raises(ValueError, match="step=-1: give a whole number of at least 0"):
        sampler.batch(-1)
    for start in (-2, 1.5):
        sampler.start = start
        with pytest.raises(ValueError, match=f"start={start}: give a whole number"):
            iter(sampler)


@pytest.mark.parametrize("make", [
    lambda **kw: PKSampler(torch.arange(30) % 7, 3, 2, **kw),
    lambda **kw: ShuffleSampler(32, 6, **kw),
])  # fmt: skip
def test_long_seeds_differ(make):
    """Oracle: the generator takes 32 bits; a seed of torch has 64, and those above count too."""
    seeds = [0, 1, 2**32, 2**32 + 1, 2**33, 2**64, -1, 2**32 - 1, -(2**32)]
    assert len({str(make(steps=25, seed=seed).batch(3)) for seed in seeds}) == len(seeds)


def test_data_loader_takes_it_without_a_warning():
    """Oracle: the indices themselves, with warnings as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler = PKSampler(torch.arange(12) % 4, 2, 2, steps=5)
        loader = DataLoader(TensorDataset(torch.arange(12)), batch_sampler=sampler)
        assert [x.tolist() for (x,) in loader] == list(sampler)
        assert len(loader) == 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PKSampler(torch.arange(3), 4, 1, steps=1), "p=4"),
        (lambda: PKSampler(torch.arange(3), 0, 1, steps=1), "p=0"),
        (lambda: PKSampler(torch.arange(3), 1, 0, steps=1), "k=0"),
        (lambda: PKSampler(torch.zeros(2, 2), 1, 1, steps=1), r"\(2, 2\)"),
        (lambda: PKSampler(torch.arange(3), 1, 1, steps=-1), "steps=-1"),
        (lambda: PKSampler(torch.arange(0), 1, 1, steps=1), r"\(0,\)"),
        (lambda: ShuffleSampler(3, 4, steps=1), "batch=4"),
        (lambda: ShuffleSampler(3, 0, steps=1), "batch=0"),
    ],
)
def test_bad_values(make, message):
    """Oracle: the message names the value."""
    with pytest.raises(ValueError, match=message):
        make()
