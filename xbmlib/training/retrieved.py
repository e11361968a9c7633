"""The images that a trained model finds for a sample of queries: what a run keeps to be looked at.

Embeddings are too large to keep, some 15 MB a run; these rows are what is left of them.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor

from xbmlib.datasets import Images, Retrieval
from xbmlib.recall import neighbours

TOP = 4  # images of each query, as in Fig. 7
SEED = 2020


def sample(queries: int, count: int) -> Tensor:
    """(count,) indices of queries in the order of a seeded draw; all where there are fewer.

    The seed is none of a run's, so that every run on a data set is asked the same.
    """
    return torch.randperm(queries, generator=torch.Generator().manual_seed(SEED))[:count]


def retrieved(data: Retrieval, embed: Callable[[Images], Tensor], count: int) -> pd.DataFrame:
    """The TOP nearest images of ``count`` sampled queries; no rows for a count of 0.

    Args:
        data: queries, and the gallery that is searched; without one each query leaves itself out.
        embed: images to embeddings (n, D).
        count: at least 0.

    Returns:
        A row an image found, nearest first and queries as drawn: query, rank (from 1), neighbour
        (its index in the gallery, or else among the queries), similarity, correct (of the query's
        class).
    """
    if not count:
        return pd.DataFrame()
    images = data.query if data.gallery is None else data.gallery
    chosen = sample(len(data.query), count)
    found = embed(images)
    if data.gallery is None:
        similarities, indices = neighbours(found[chosen], TOP, found, own=chosen)
    else:
        similarities, indices = neighbours(embed(data.query.select(chosen)), TOP, found)
    correct = images.labels[indices] == data.query.labels[chosen, None]
    columns = {
        "query": chosen.repeat_interleave(TOP).int(),
        "rank": torch.arange(1, TOP + 1, dtype=torch.int8).repeat(len(chosen)),
        "neighbour": indices.flatten().int(),
        "similarity": similarities.flatten(),
        "correct": correct.flatten(),
    }
    return pd.DataFrame({name: column.numpy() for name, column in columns.items()})
