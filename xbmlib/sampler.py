"""Batch samplers: P classes × K images (Section 4.1), and shuffled batches (Fig. 6).

The batch of a step is a pure function of (seed, step), so that a run resumes at any step.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from xbmlib.integers import as_labels, whole_number


class StepSampler(Sampler[list[int]]):
    """A batch sampler for ``DataLoader`` that yields the batches of steps [start, steps).

    Base of the samplers here, and of custom ones: a subclass defines :meth:`batch`.

    Args:
        steps: number of batches in all, >= 0.
        seed: of the randomness.

    Attributes:
        start: first step to yield; set it to resume.

    Raises:
        ValueError: steps below 0, or a seed that is no whole number.

    Example:
        >>> class InOrder(StepSampler):
        ...     def batch(self, step):
        ...         return [2 * step, 2 * step + 1]
        >>> sampler = InOrder(steps=3, seed=0)
        >>> sampler.start = 1
        >>> list(sampler)
        [[2, 3], [4, 5]]
    """

    def __init__(self, steps: int, seed: int) -> None:
        self.start, self.steps = 0, whole_number("steps", steps, 0)
        self.seed = whole_number("seed", seed)
        self._latest: tuple[int, Tensor] = (-1, torch.empty(0, device="cpu"))

    def batch(self, step: int) -> list[int]:
        """Dataset indices of the batch of one step."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[list[int]]:
        start = whole_number("start", self.start, 0)
        return (self.batch(step) for step in range(start, self.steps))

    def __len__(self) -> int:
        """Number of batches from ``start`` on."""
        return max(0, self.steps - self.start)

    def _generator(self, *stream: int) -> torch.Generator:
        """A generator for one stream of this seed, independent of the others."""
        # The CPU's generator uses only the low 32 bits of its seed: other seeds are hashed into
        # these, and an odd multiplier keeps the streams apart in them.
        state = self.seed
        if not 0 <= state < 1 << 32:
            state = int.from_bytes(hashlib.sha256(str(state).encode()).digest()[:8])
        for number in stream:
            state = (state * 6364136223846793005 + int(number) + 1442695040888963407) % (1 << 63)
        return torch.Generator("cpu").manual_seed(state)

    def _distinct(self, n: int, size: int, step: int) -> Tensor:
        """(size,) different indices below n: one step's slice of successive permutations."""
        epoch, at = divmod(whole_number("step", step, 0) * size, n)
        chosen = self._permutation(n, size, epoch)[at : at + size]
        if short := size - len(chosen):
            chosen = torch.cat([chosen, self._permutation(n, size, epoch + 1)[:short]])
        return chosen

    def _permutation(self, n: int, size: int, epoch: int) -> Tensor:
        """(n,) permutation of one epoch; the latest is cached.

        Where a batch straddles two epochs, the later permutation moves back what the batch already
        has. So it depends on the one before it, back to the last epoch that begins with a batch.
        """
        aligned = epoch - epoch % (size // math.gcd(n, size))
        latest, order = self._latest
        if not aligned <= latest <= epoch:
            latest = aligned - 1
        for e in range(latest + 1, epoch + 1):
            before, order = order, _permuted(n, self._generator(0, e))
            if taken := e * n % size:
                # The batch has `taken` indices of the epoch before: those come later in this one.
                free = ~torch.isin(order, before[-taken:])
                first = free & (free.cumsum(0) <= size - taken)
                order = torch.cat([order[first], order[~first]])
        self._latest = epoch, order
        return order


def _permuted(n: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(n, generator=generator, device="cpu")


class PKSampler(StepSampler):
    """P classes × K images of each (Section 4.1). Symbols: :mod:`xbmlib`.

    Classes are taken from successive seeded permutations of all C of them, P per batch. No class
    occurs twice in a batch, even where the batch straddles two permutations; after t batches each
    class has been visited floor(t · P / C) times or once more.

    Args:
        labels: (N,) integers of any dtype, or bool: the class of each dataset index.
        p: P, classes in a batch, in [1, C].
        k: K, images of each class, >= 1. A class with at least K images gives K different ones; a
            smaller class gives all of its images and repeats some to make K.
        steps: number of batches in all, >= 0.
        seed: of the randomness.

    Raises:
        ValueError: p, k or steps out of range, or labels that are not (N,) integers.

    Example:
        >>> import torch
        >>> labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
        >>> sampler = PKSampler(labels, p=2, k=2, steps=3)
        >>> [len(labels[batch].unique()) for batch in sampler]
        [2, 2, 2]
        >>> torch.bincount(labels[sampler.batch(0) + sampler.batch(1) + sampler.batch(2)])
        tensor([4, 4, 4])
    """

    def __init__(self, labels: Tensor, p: int, k: int, *, steps: int, seed: int = 0) -> None:
        super().__init__(steps, seed)
        try:
            given = torch.as_tensor(labels, device="cpu")
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"labels of type {type(labels).__name__}: give integers") from error
        if given.ndim != 1 or not len(given):
            raise ValueError(
                f"labels of shape {tuple(given.shape)}: give (N,) with N of at least 1"
            )
        labels = as_labels("labels", given)
        self._order = labels.argsort(stable=True)
        _, counts = labels[self._order].unique_consecutive(return_counts=True)
        self._sizes = counts
        self._starts = counts.cumsum(0) - counts
        p, k = whole_number("p", p), whole_number("k", k, 1)
        if not 1 <= p <= len(counts):
            raise ValueError(f"p={p}: give 1 to {len(counts)}, the number of classes")
        self.p, self.k = p, k

    def batch(self, step: int) -> list[int]:
        """Dataset indices of the batch of one step: K of one class, K of the next, and so on."""
        classes = self._distinct(len(self._sizes), self.p, step)
        generator = self._generator(1, step)
        places = [
            self._starts[c] + self._sample(int(self._sizes[c]), generator) for c in classes.tolist()
        ]  # P of (K,), into the order of the labels
        batch: list[int] = self._order[torch.cat(places)].tolist()
        return batch

    def _sample(self, size: int, generator: torch.Generator) -> Tensor:
        """(K,) of the ``size`` images of a class: each once before any twice."""
        rounds = [_permuted(size, generator) for _ in range(-(-self.k // size))]
        return torch.cat(rounds)[: self.k]


class ShuffleSampler(StepSampler):
    """Shuffled batches: slices of successive seeded permutations of all images (Fig. 6).

    No image occurs twice in a batch, even where the batch straddles two permutations; after t
    batches each image has been seen floor(t · m / N) times or once more.

    Args:
        n: N, number of images, >= 1.
        batch: m, images in a batch, in [1, N].
        steps: number of batches in all, >= 0.
        seed: of the randomness.

    Raises:
        ValueError: batch or steps out of range.

    Example:
        >>> sampler = ShuffleSampler(6, batch=4, steps=3)
        >>> sorted(sampler.batch(0) + sampler.batch(1) + sampler.batch(2))
        [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        >>> sampler.start = 2
        >>> list(sampler) == [sampler.batch(2)]
        True
    """

    def __init__(self, n: int, batch: int, *, steps: int, seed: int = 0) -> None:
        super().__init__(steps, seed)
        n, batch = whole_number("n", n), whole_number("batch", batch)
        if not 1 <= batch <= n:
            raise ValueError(f"batch={batch}: give 1 to {n}, the number of images")
        self.n, self.size = n, batch

    def batch(self, step: int) -> list[int]:
        """Dataset indices of the batch of one step."""
        batch: list[int] = self._distinct(self.n, self.size, step).tolist()
        return batch
