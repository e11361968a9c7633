"""Tests of how batches are loaded."""

import torch

from xbmlib import datasets
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
