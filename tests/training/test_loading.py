"""Tests of how batches are loaded."""

import multiprocessing as mp
import sys

import pytest
import torch

from xbmlib import datasets
from xbmlib.datasets import Images
from xbmlib.training import loading
from xbmlib.training.experiment import Experiment
from xbmlib.training.loading import crop_generator


def test_seeds_crop_apart():
    """Oracle: counting. Every seed and step samples its own numbers."""
    drawn = {
        tuple(torch.rand(4, generator=crop_generator(seed, step)).tolist())
        for seed in range(20)
        for step in range(50)
    }
    assert len(drawn) == 20 * 50


def test_reading_leaves_the_global_generator_alone():
    """Oracle: its state. A model's dropout takes its numbers from it, however often a run is
    evaluated or resumed.
    """
    images = datasets.load("hanzi", "validation").query.select(torch.arange(64))
    before = torch.get_rng_state()
    e = Experiment(batch=8, steps=3, ratio=0.0)
    assert len(list(loading.training_batches(e, images))) == 3
    assert len(list(loading.test_batches(images, 32))) == 2
    assert torch.equal(torch.get_rng_state(), before)


class Numbered(Images):
    """Four images of one pixel, whose value only the process that sets it knows."""

    labels, channels, value = torch.arange(4), 1, 0

    def select(self, rows):
        """Not read."""
        raise NotImplementedError

    def fetch(self, rows, generator=None):
        """The value for every row."""
        return torch.full((len(rows), 1, 1, 1), self.value, dtype=torch.uint8)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks safely")
def test_readers_are_forked_where_the_default_is_to_spawn(monkeypatch):
    """Oracle: a value that a spawned interpreter would not have. A process that multiprocessing
    spawned, as each of several runs is, spawns by default.
    """
    monkeypatch.setattr(Numbered, "value", 7)
    before = mp.get_start_method()
    mp.set_start_method("spawn", force=True)
    try:
        (batch,) = loading.test_batches(Numbered(), 4)
    finally:
        mp.set_start_method(before, force=True)
    assert batch[0].flatten().tolist() == [7] * 4
