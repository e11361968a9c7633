"""Batch samplers: P classes × K images (Section 4.1), and random shuffle (Fig. 6).

Both are pure functions of (seed, step), so that a run resumes at any step without a history.
"""

from __future__ import annotations

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
            # An odd multiplier keeps streams apart modulo 2^63.
            state = (state * 6364136223846793005 + number + 1442695040888963407) % (1 << 63)
        return torch.Generator().manual_seed(state)

    def _permutation(self, n: int, number: int) -> Tensor:
        """The order of n things in one pass over them; the present pass is kept."""
        if self._pass[0] != number:
            self._pass = number, torch.randperm(n, generator=self._generator(0, number))
        return self._pass[1]


class PKSampler(StepSampler):
    """P classes × K images of each (Section 4.1).

    Classes are dealt from seeded permutations of all of them, P a batch, so that no class comes
    twice in a batch. A pass deals floor(C / P) batches; the C mod P classes left over at its end
    are different ones each pass. So in every pass each class is visited at most once, and a
    share of floor(C / P) · P / C of the classes is.

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
        per_pass = len(self._sizes) // self.p
        number, at = divmod(step, per_pass)
        order = self._permutation(len(self._sizes), number)
        classes = order[at * self.p : (at + 1) * self.p]
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

    A pass deals floor(n / batch) batches, in which no image comes twice; the n mod batch images
    left over at its end are different ones each pass.

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
        number, at = divmod(step, self.n // self.size)
        order = self._permutation(self.n, number)
        chosen: list[int] = order[at * self.size : (at + 1) * self.size].tolist()
        return chosen
