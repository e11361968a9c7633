"""Batches of images for training and for testing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from xbmlib.datasets import Images, ImageSet
from xbmlib.sampler import PKSampler, ShuffleSampler, StepSampler
from xbmlib.training.experiment import Experiment

Batch = tuple[Tensor, Tensor, Tensor]  # images (m, C, H, W) uint8, labels (m,), rows (m,)
WHOLE = slice(None)


def training_batches(
    e: Experiment, images: Images, start: int = 0, part: slice = WHOLE
) -> Iterator[Batch]:
    """The batches of steps [start, e.steps) of a run, or a part of each."""
    sampler: StepSampler
    if e.sampler == "pk":
        sampler = PKSampler(images.labels, e.batch // e.k, e.k, steps=e.steps, seed=e.seed)
    else:
        sampler = ShuffleSampler(len(images), e.batch, steps=e.steps, seed=e.seed)
    sampler.start = start
    return iter(_loader(images, _Numbered(sampler), e.seed, part))


def test_batches(images: Images, size: int) -> Iterator[Batch]:
    """All images in their order, ``size`` at a time."""
    rows = [[-1, *part.tolist()] for part in torch.arange(len(images)).split(size)]
    return iter(_loader(images, rows, 0))


def _loader(images: Images, sampler: Any, seed: int, part: slice = WHOLE) -> DataLoader[Any]:
    """Pictures in memory are cut out by the process itself; files are read by others, ahead."""
    workers = 0 if isinstance(images, ImageSet) else len(os.sched_getaffinity(0))
    return DataLoader(
        _Rows(images, seed, part),
        batch_sampler=sampler,
        collate_fn=_whole,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )


def _whole(batch: Any) -> Any:
    return batch


class _Numbered(Sampler[list[int]]):
    """The batches of a sampler, the number of the step before the rows of each."""

    def __init__(self, sampler: StepSampler) -> None:
        self.sampler = sampler

    def __iter__(self) -> Iterator[list[int]]:
        for step, rows in enumerate(self.sampler, self.sampler.start):
            yield [step, *rows]


class _Rows(Dataset[Any]):
    """Fetches a batch, or a part of it, at a time: a step, -1 for none, then the batch's rows."""

    def __init__(self, images: Images, seed: int, part: slice) -> None:
        self.set, self.seed, self.part = images, seed, part

    def __getitems__(self, numbered: list[int]) -> Batch:
        step, *rows = numbered
        # One of several processes may have no rows.
        ids = torch.tensor(rows, dtype=torch.int64)
        generator = None if step < 0 else crop_generator(self.seed, step)
        pictures = self.set.fetch_part(ids, self.part, generator)
        return pictures, self.set.labels[ids[self.part]], ids[self.part]


def crop_generator(seed: int, step: int) -> torch.Generator:
    """Randomness of one step's crops.

    The CPU's generator takes 32 bits of a seed, so both numbers have to be mixed into these; the
    odd multiplier keeps the steps of two seeds apart.
    """
    return torch.Generator().manual_seed((seed * 0x9E3779B1 + step) % 2**32)
