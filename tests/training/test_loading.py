"""Tests of how batches are loaded."""

import torch

from xbmlib.training.loading import crop_generator


def test_seeds_crop_apart():
    """Oracle: counting. Every seed and step samples its own numbers."""
    drawn = {
        tuple(torch.rand(4, generator=crop_generator(seed, step)).tolist())
        for seed in range(20)
        for step in range(50)
    }
    assert len(drawn) == 20 * 50
