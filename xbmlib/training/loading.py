"""Batches of images for training and for testing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from xbmlib.datasets import DatasetError, Images, ImageSet
from xbmlib.datasets.shared_memory import reading_processes
from xbmlib.sampler import PKSampler, ShuffleSampler, StepSampler
from xbmlib.training.experiment import Experiment

Batch = tuple[Tensor, Tensor, Tensor]  # images (m, C, H, W) uint8, labels (m,), rows (m,)
WHOLE = slice(None)
TESTED = 512  # images of a batch in an evaluation


def training_batches(
    e: Experiment, images: Images, start: int = 0, share: slice = WHOLE
) -> Iterator[Batch]:
    """The batches of steps [start, e.steps) of a run, or one rank's share of each."""
    sampler: StepSampler
    if e.sampler == "pk":
        sampler = PKSampler(images.labels, e.batch // e.k, e.k, steps=e.steps, seed=e.seed)
    else:
        sampler = ShuffleSampler(len(images), e.batch, steps=e.steps, seed=e.seed)
    sampler.start = start
    size = len(range(e.batch)[share])
    return _read(images, _Numbered(sampler), size, e.seed, share)


def test_batches(images: Images, size: int) -> Iterator[Batch]:
    """All images in their order, ``size`` at a time."""
    rows = [[-1, *part.tolist()] for part in torch.arange(len(images), device="cpu").split(size)]
    return _read(images, rows, size, 0)


def sampled_batches(images: Images, count: int, seed: int) -> Iterator[Batch]:
    """``count`` images sampled without replacement, in batches, under their rows as ids."""
    generator = torch.Generator("cpu").manual_seed(seed)
    order = torch.randperm(len(images), generator=generator, device="cpu")[:count]
    batches = test_batches(images.select(order), TESTED)
    return ((x, labels, order[rows]) for x, labels, rows in batches)


def _read(
    images: Images, sampler: Any, size: int, seed: int, share: slice = WHOLE
) -> Iterator[Batch]:
    """Images in memory are indexed by this process; files are read ahead by workers.

    Workers are forked on Linux, in a run that :mod:`multiprocessing` has itself spawned too: there
    it would spawn them, and each would import torch, seconds for every evaluation.
    """
    held = batch_bytes(images, size)
    workers = reading_processes(held) if held else 0
    # Without a variable that holds it, the loader ends its processes once an error is raised.
    for batch in _started(
        DataLoader(
            _Rows(images, seed, share),
            batch_sampler=sampler,
            collate_fn=_as_it_is,
            num_workers=workers,
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
            pin_memory=torch.cuda.is_available(),
            # Its own: an iterator would else take a number from the generator that a model's
            # dropout uses, and evaluating or resuming would change the run.
            generator=torch.Generator("cpu"),
        )
    ):
        if isinstance(batch, DatasetError):
            raise batch
        yield batch


def _started(loader: DataLoader[Any]) -> Iterator[Any]:
    """The loader's iterator, whose own random number is on the CPU whatever the default device."""
    with torch.device("cpu"):
        return iter(loader)


def batch_bytes(images: Images, size: int) -> int:
    """Bytes of a batch that other processes pass to this one; 0 for images in memory."""
    if isinstance(images, ImageSet) or not len(images):
        return 0
    return min(size, len(images)) * images.fetch(torch.arange(1, device="cpu")).nbytes


def _as_it_is(batch: Any) -> Any:
    return batch


class _Numbered(Sampler[list[int]]):
    """The batches of a sampler, the rows of each preceded by the number of its step."""

    def __init__(self, sampler: StepSampler) -> None:
        self.sampler = sampler

    def __iter__(self) -> Iterator[list[int]]:
        for step, rows in enumerate(self.sampler, self.sampler.start):
            yield [step, *rows]


class _Rows(Dataset[Any]):
    """Fetches a batch, or a share of it, by its step (-1 for none) followed by its rows."""

    def __init__(self, images: Images, seed: int, share: slice) -> None:
        self.set, self.seed, self.share = images, seed, share

    def __getitems__(self, numbered: list[int]) -> Batch | DatasetError:
        """A batch, or the error of an image: raised here, a worker would add its traceback."""
        step, *rows = numbered
        # A rank's share may be empty.
        ids = torch.tensor(rows, dtype=torch.int64, device="cpu")
        generator = None if step < 0 else crop_generator(self.seed, step)
        try:
            images = self.set.fetch_part(ids, self.share, generator)
        except DatasetError as error:
            return error
        return images, self.set.labels[ids[self.share]], ids[self.share]


def crop_generator(seed: int, step: int) -> torch.Generator:
    """The generator of one step's crops.

    The CPU's generator uses 32 bits of its seed, so both numbers have to be mixed into these; the
    odd multiplier keeps the steps of two seeds apart.
    """
    return torch.Generator("cpu").manual_seed((seed * 0x9E3779B1 + step) % 2**32)
