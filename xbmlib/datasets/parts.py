"""The parts of a data set, and the split to evaluate on."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from xbmlib.datasets.images import DatasetError, Images, Retrieval

SPLITS = ("test", "validation", "smoke")
# Fraction of the training classes that a search evaluates on; the test classes stay unseen.
VALIDATION_SHARE = 0.2
# Classes of "smoke": a hundredth of the images is still a memory of one batch of 64.
SMOKE_TRAINED, SMOKE_EVALUATED = 1100, 200
VALIDATION_SEED = 2020


@dataclass(frozen=True)
class Parts:
    """The parts of a data set as rows of its images, int64.

    Attributes:
        train: (n,) training images.
        query: (Q,) query images.
        gallery: (G,) images to search; None for leave-one-out among the queries.
        lists: test lists by name, as indices into ``query``.
    """

    train: Tensor
    query: Tensor
    gallery: Tensor | None = None
    lists: dict[str, Tensor] = field(default_factory=dict)


def retrieval(
    name: str, images: Images, parts: Parts, ks: tuple[int, ...], fingerprint: str, split: str
) -> Retrieval:
    """The images of one split, with their protocol.

    Args:
        name: of the data set.
        images: all of its images.
        parts: their rows.
        ks: the K of R@K.
        fingerprint: SHA-256 of the data.
        split: "test" evaluates on the test classes. "validation" holds out a fifth of the training
            classes and evaluates on those, leave-one-out on every data set, for the choice of
            hyper-parameters. "smoke" takes the first 1,100 and 200 classes of these two sides, to
            see that a program runs; its recall says nothing.

    Raises:
        DatasetError: an unknown split, or too few classes to hold any out.
    """
    if split not in SPLITS:
        # A misspelt "validation" must not fall through to the test classes.
        raise DatasetError(f"split={split!r}: no such split; known: {', '.join(SPLITS)}")
    train = images.select(parts.train)
    if split != "test":
        classes = train.classes
        generator = torch.Generator("cpu").manual_seed(VALIDATION_SEED)
        order = torch.randperm(len(classes), generator=generator, device="cpu")
        if not (held_out := round(VALIDATION_SHARE * len(classes))):
            raise DatasetError(
                f'{name}: split="{split}" holds out a fifth of the training classes, which of '
                f"{len(classes)} is none; give at least 3 classes"
            )
        evaluated, trained = order[:held_out], order[held_out:]
        if split == "smoke":
            evaluated, trained = evaluated[:SMOKE_EVALUATED], trained[:SMOKE_TRAINED]
        query = train.of_classes(classes[evaluated])
        return Retrieval(name, train.of_classes(classes[trained]), query, None, ks, fingerprint)
    gallery = None if parts.gallery is None else images.select(parts.gallery)
    query = images.select(parts.query)
    return Retrieval(name, train, query, gallery, ks, fingerprint, parts.lists)
