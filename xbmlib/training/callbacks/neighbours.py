"""The nearest images of a sample of queries, for Fig. 7.

A run's embeddings would take some 15 MB; these rows are what is kept of them.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor

from xbmlib.datasets import Images, Retrieval
from xbmlib.recall import neighbours
from xbmlib.training.callbacks.base import Callback, Training

TOP = 4  # images of each query, as in Fig. 7
SEED = 2020


class Neighbours(Callback):
    """Keeps the table "neighbours": :func:`nearest_images` of ``neighbours`` queries."""

    def on_end(self, trainer: Training) -> None:
        """Search with the trained model."""
        count = trainer.experiment.neighbours
        trainer.tables["neighbours"] = nearest_images(trainer.data, trainer.embed, count)


def sample(queries: int, count: int) -> Tensor:
    """(count,) indices of queries in the order they are sampled; all where there are fewer.

    The seed is not the run's, so that all runs on a data set share their queries.
    """
    generator = torch.Generator("cpu").manual_seed(SEED)
    return torch.randperm(queries, generator=generator, device="cpu")[:count]


def nearest_images(data: Retrieval, embed: Callable[[Images], Tensor], count: int) -> pd.DataFrame:
    """The TOP nearest images of ``count`` sampled queries; no rows for a count of 0.

    Args:
        data: queries, and the gallery that is searched; without one, each query is searched for
            among the other queries.
        embed: images to embeddings (n, D).
        count: at least 0.

    Returns:
        One row per image found, nearest first, queries in the order they are sampled: query, rank
        (from 1), neighbour (index in the gallery, or else among the queries), similarity, correct
        (of the query's class).
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
        "rank": torch.arange(1, TOP + 1, dtype=torch.int8, device="cpu").repeat(len(chosen)),
        "neighbour": indices.flatten().int(),
        "similarity": similarities.flatten(),
        "correct": correct.flatten(),
    }
    return pd.DataFrame({name: column.numpy() for name, column in columns.items()})
