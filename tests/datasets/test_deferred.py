"""Tests of images that are decoded when the first of them is read."""

import pickle

import pytest
import torch

from xbmlib.datasets import ImageSet, bundled
from xbmlib.datasets.deferred import DeferredImages


@pytest.fixture
def whole():
    """Twelve images in memory."""
    return ImageSet(torch.arange(12 * 12, dtype=torch.uint8).view(12, 3, 2, 2), torch.arange(12))


def test_parts_of_parts_are_those_of_the_whole(whole):
    """Oracle: the same selections of the images in memory."""
    deferred = DeferredImages(lambda: whole.images, 3, torch.arange(12), whole.labels)
    for rows in (torch.tensor([7, 2, 2, 11]), torch.tensor([0])):
        part, wanted = deferred.select(rows), whole.select(rows)
        for a, b in ((part, wanted), (part.of_classes(part.classes[:1]),
                                      wanted.of_classes(wanted.classes[:1]))):  # fmt: skip
            assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
            assert len(a) == len(b) and a.channels == b.channels
            first = torch.tensor([0])
            assert torch.equal(a.fetch(first), b.fetch(first))
            assert torch.equal(a.show(first), b.show(first))


def test_labels_are_known_without_decoding(monkeypatch):
    """Oracle: a decoder that fails: number, labels and classes of the bundled images take none."""
    monkeypatch.setattr(bundled, "_decode", lambda *file: pytest.fail("decoded"))
    bundled._read.cache_clear()
    for name in ("hanzi", "emoji"):
        data = bundled.load(name, "validation")
        assert len(data.train) > len(data.query) > 1000
        assert data.train.channels == data.query.channels
        assert set(data.train.classes.tolist()).isdisjoint(data.query.classes.tolist())
        with pytest.raises(pytest.fail.Exception, match="decoded"):
            data.query.fetch(torch.tensor([0]))
    bundled._read.cache_clear()


def test_a_part_is_decoded_once(whole):
    """Oracle: counting, of three reads."""
    calls = []
    deferred = DeferredImages(
        lambda: calls.append(1) or whole.images, 3, torch.arange(12), whole.labels
    )
    part = deferred.select(torch.tensor([3, 1]))
    assert not calls
    for _ in range(3):
        part.fetch(torch.tensor([1]))
    assert len(calls) == 1


def test_a_part_is_pickled_with_what_decodes_it():
    """Oracle: the labels and images before."""
    part = bundled.load("hangul").query.select(torch.tensor([5, 0]))
    copy = pickle.loads(pickle.dumps(part))
    assert torch.equal(copy.images, part.images) and torch.equal(copy.labels, part.labels)
