"""The parts of a data set, and the split that is measured on."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from xbmlib.datasets.images import DatasetError, Images, Retrieval

SPLITS = ("test", "validation")
# Share of the training classes that a search measures on; the test classes stay unseen.
VALIDATION_SHARE = 0.2
VALIDATION_SEED = 2020


@dataclass(frozen=True)
class Parts:
    """What the images of a data set are for, as rows of them.

    Attributes:
        train: learnt from.
        query: their neighbours are looked for.
        gallery: where they are looked for; None for leave-one-out among the queries.
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
        images: all of it.
        parts: of them.
        ks: the K of R@K.
        fingerprint: SHA-256 of the data.
        split: "test" measures on the test classes. "validation" holds a fifth of the training
            classes out of training and measures on them, leave-one-out whatever the data set, for
            the choice of hyper-parameters.

    Raises:
        DatasetError: an unknown split.
    """
    if split not in SPLITS:
        # A misspelt "validation" must not fall through to the test classes.
        raise DatasetError(f"split={split!r}: no such split; known: {', '.join(SPLITS)}")
    train = images.select(parts.train)
    if split == "validation":
        classes = train.classes
        order = torch.randperm(
            len(classes), generator=torch.Generator().manual_seed(VALIDATION_SEED)
        )
        held = round(VALIDATION_SHARE * len(classes))
        query = train.of_classes(classes[order[:held]])
        return Retrieval(
            name, train.of_classes(classes[order[held:]]), query, None, ks, fingerprint
        )
    gallery = None if parts.gallery is None else images.select(parts.gallery)
    query = images.select(parts.query)
    return Retrieval(name, train, query, gallery, ks, fingerprint, parts.lists)
