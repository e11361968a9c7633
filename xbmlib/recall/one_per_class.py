"""Re-identification's protocol on VehicleID: one random gallery image of each class."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from xbmlib.integers import whole_number
from xbmlib.recall.measures import recall_at_k
from xbmlib.recall.tiles import checked_ks, checked_labels

DRAWS, SEED = 10, 2020


def one_per_class(
    embeddings: Tensor, labels: Tensor, ks: Iterable[int], draws: int = DRAWS
) -> dict[int, float]:
    """R@K with one random image of each class as the gallery and all others as queries.

    The protocol of re-identification on VehicleID (Liu et al., CVPR 2016).

    Args:
        embeddings: (n, D); the similarity is their inner product.
        labels: (n,) integers of any dtype, or bool; two images or more of at least one class.
        ks: the K, each >= 1.
        draws: seeded draws of the gallery to average over, at least 1.

    Returns:
        K to the mean fraction in [0, 1].

    Raises:
        ValueError: draws below 1, one image of every class, or as :func:`recall_at_k`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])
        >>> round(one_per_class(embeddings, torch.tensor([0, 0, 1, 1]), [1, 2])[2], 6)
        1.0
    """
    draws = whole_number("draws", draws, 1)
    labels, _ = checked_labels(embeddings, labels, None, None)
    if len(labels) == len(labels.unique()):
        raise ValueError(f"labels of {len(labels)} images, no two of one class: no query is left")
    generator = torch.Generator("cpu").manual_seed(SEED)
    ks = checked_ks(ks)
    total = dict.fromkeys(ks, 0.0)
    for _ in range(draws):
        gallery = first_of_each(
            labels, torch.randperm(len(labels), generator=generator, device="cpu")
        )
        queries = torch.ones(len(labels), dtype=torch.bool, device="cpu")
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
    # Rounding of the sum may go beyond.
    return {k: min(value, 1.0) for k, value in total.items()}


def first_of_each(labels: Tensor, order: Tensor) -> Tensor:
    """Index of the image of each class that comes first in an order of all images, (classes,).

    Args:
        labels: (n,) integers.
        order: (n,) a permutation of the images.
    """
    ordered = labels[order].cpu()  # (n,)
    _, group = ordered.unique(return_inverse=True)  # (n,) in [0, classes)
    first = ordered.new_full((int(group.max()) + 1,), len(ordered))  # (classes,)
    first.scatter_reduce_(0, group, torch.arange(len(ordered), device="cpu"), "amin")
    return order[first]
