"""Re-identification's protocol on VehicleID: one random gallery image of each class."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from xbmlib.recall.measures import recall_at_k

DRAWS, SEED = 10, 2020


def one_per_class(
    embeddings: Tensor, labels: Tensor, ks: Iterable[int], draws: int = DRAWS
) -> dict[int, float]:
    """R@K with one image of each class for the gallery and all others for queries.

    Args:
        embeddings: (n, D), unit length.
        labels: (n,) integers; two images or more of at least one class.
        ks: the K.
        draws: seeded draws of the gallery that are averaged over, at least 1.

    Returns:
        K to the mean fraction in [0, 1].

    Raises:
        ValueError: draws below 1.
    """
    if draws < 1:
        raise ValueError(f"draws={draws}: give at least 1")
    generator = torch.Generator().manual_seed(SEED)
    ks = tuple(ks)
    total = dict.fromkeys(ks, 0.0)
    for _ in range(draws):
        gallery = first_of_each(labels, torch.randperm(len(labels), generator=generator))
        queries = torch.ones(len(labels), dtype=torch.bool)
        queries[gallery] = False
        queries = queries.to(labels.device)
        found = recall_at_k(
            embeddings[queries],
            labels[queries],
            ks,
            gallery=embeddings[gallery],
            gallery_labels=labels[gallery],
        )
        for k in ks:
            total[k] += found[k] / draws
    return total


def first_of_each(labels: Tensor, order: Tensor) -> Tensor:
    """Index of the image of each class that comes first in an order of all images."""
    drawn = labels[order].cpu()
    _, place = drawn.unique(return_inverse=True)
    first = torch.full((int(place.max()) + 1,), len(drawn))
    first.scatter_reduce_(0, place, torch.arange(len(drawn)), "amin")
    return order[first]
