"""Batch samplers: P classes × K images (Section 4.1), and random shuffle (Fig. 6).

Both are pure functions of (seed, step), so that a run resumes at any step without a history.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler


class StepSampler(Sampler[list[int]]):
    """A batch sampler for ``DataLoader`` that yields the batches of steps [start, steps).

    Attributes:
        start: first step to yield; set it to resume.
    """

    def __init__(self, steps: int, seed: int) -> None:
        if steps < 0:
            raise ValueError(f"steps={steps}: give at least 0")
        self.start, self.steps, self.seed = 0, steps, seed
        self._pass: tuple[int, Tensor] = (-1, torch.empty(0))

    def batch(self, step: int) -> list[int]:
        """Dataset indices of the batch of one step."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[list[int]]:
        return (self.batch(step) for step in range(self.start, self.steps))

    def __len__(self) -> int:
        """Batches left."""
        return max(0, self.steps - self.start)

    def _generator(self, *stream: int) -> torch.Generator:
        """Randomness of one stream of this seed."""
        state = self.seed
        for number in stream:
            # The CPU's generator heeds the low 32 bits of its seed alone: an odd multiplier keeps
            # the streams apart in those.
            state = (state * 6364136223846793005 + number + 1442695040888963407) % (1 << 63)
        return torch.Generator().manual_seed(state)

    def _deal(self, n: int, size: int, step: int) -> Tensor:
        """``size`` different ones of n things: one step's cut from successive permutations."""
        number, at = divmod(step * size, n)
        dealt = self._permutation(n, size, number)[at : at + size]
        if short := size - len(dealt):
            dealt = torch.cat([dealt, self._permutation(n, size, number + 1)[:short]])
        return dealt

    def _permutation(self, n: int, size: int, number: int) -> Tensor:
        """The order of n things in one pass over them; the present pass is kept.

        Where a batch straddles two passes, the later one puts off what the batch already has.
        So a pass depends on the one before it, back to the last that begins with a batch.
        """
        aligned = number - number % (size // math.gcd(n, size))
        done, order = self._pass
        if not aligned <= done <= number:
            done = aligned - 1
        for later in range(done + 1, number + 1):
            before, order = order, torch.randperm(n, generator=self._generator(0, later))
            if taken := later * n % size:
                free = ~torch.isin(order, before[-taken:])
                first = free & (free.cumsum(0) <= size - taken)
                order = torch.cat([order[first], order[~first]])
        self._pass = number, order
        return order


class PKSampler(StepSampler):
    """P classes × K images of each (Section 4.1).

    Classes are dealt from successive seeded permutations of all C of them, P a batch. No class
    comes twice in a batch, also where the batch straddles two permutations; and after t batches
    each class was visited floor(t · P / C) times or once more.

    Args:
        labels: (n,) integers, the class of each dataset index.
        p: P, classes in a batch (>= 1, at most the number of classes).
        k: K, images of each class (>= 1). A class with at least K images gives K different
            ones; a smaller one gives all of its images, and repeats some to make K.
        steps: number of batches in all.
        seed: of everything random.

    Raises:
        ValueError: p or k out of range, or labels that are not (n,).
    """

    def __init__(self, labels: Tensor, p: int, k: int, *, steps: int, seed: int = 0) -> None:
        super().__init__(steps, seed)
        labels = torch.as_tensor(labels)
        if labels.ndim != 1 or not len(labels):
            raise ValueError(
                f"labels of shape {tuple(labels.shape)}: give (n,) with n of at least 1"
            )
        self._order = labels.argsort(stable=True)
        _, counts = labels[self._order].unique_consecutive(return_counts=True)
        self._sizes = counts
        self._starts = counts.cumsum(0) - counts
        if not 1 <= p <= len(counts):
            raise ValueError(f"p={p}: give 1 to {len(counts)}, the number of classes")
        if k < 1:
            raise ValueError(f"k={k}: give at least 1")
        self.p, self.k = p, k

    def batch(self, step: int) -> list[int]:
        """Dataset indices of the batch of one step: K of one class, K of the next, and so on."""
        classes = self._deal(len(self._sizes), self.p, step)
        generator = self._generator(1, step)
        picks = [
            self._starts[c] + self._pick(int(self._sizes[c]), generator) for c in classes.tolist()
        ]
        chosen: list[int] = self._order[torch.cat(picks)].tolist()
        return chosen

    def _pick(self, size: int, generator: torch.Generator) -> Tensor:
        """K of ``size`` images: each once before any twice."""
        picked = [torch.randperm(size, generator=generator) for _ in range(-(-self.k // size))]
        return torch.cat(picked)[: self.k]


class ShuffleSampler(StepSampler):
    """Random shuffle: batches cut from seeded permutations of all images (Fig. 6).

    No image comes twice in a batch, also where the batch straddles two permutations; and after t
    batches each image was seen floor(t · batch / n) times or once more.

    Args:
        n: number of images (>= 1).
        batch: m, in [1, n].
        steps: number of batches in all.
        seed: of everything random.

    Raises:
        ValueError: a batch out of range.
    """

    def __init__(self, n: int, batch: int, *, steps: int, seed: int = 0) -> None:
        super().__init__(steps, seed)
        if not 1 <= batch <= n:
            raise ValueError(f"batch={batch}: give 1 to {n}, the number of images")
        self.n, self.size = n, batch

    def batch(self, step: int) -> list[int]:
        """Dataset indices of the batch of one step."""
        chosen: list[int] = self._deal(self.n, self.size, step).tolist()
        return chosen
