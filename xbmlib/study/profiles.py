"""Profiles: the same experiments at several sizes, and the settings that the search chose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from xbmlib import paper
from xbmlib.config import Experiment

# Chosen on the validation classes by `python -m xbmlib.study.search`, the arm without memory with
# as many trials as the arm with; a test holds them against results/search.csv.
TUNED: dict[tuple[str, str, int], dict[str, Any]] = {
    ("free", "none", 16): {
        "lr": 8e-4,
        "lam": 0.6,
        "pooling": "max",
        "dim": 256,
        "schedule": "cosine",
        "k": 2,
    },
    ("free", "memory", 16): {
        "lr": 4e-4,
        "lam": 0.8,
        "pooling": "max",
        "dim": 128,
        "schedule": "cosine",
        "k": 2,
        "ratio": 1.0,
        "warm_up": 0.05,
        "init": "fill",
        "batch_loss": True,
    },
    ("free", "none", 64): {
        "lr": 8e-4,
        "lam": 0.7,
        "pooling": "max",
        "dim": 256,
        "schedule": "step",
        "k": 4,
    },
    ("free", "memory", 64): {
        "lr": 8e-4,
        "lam": 0.7,
        "pooling": "max",
        "dim": 256,
        "schedule": "step",
        "k": 2,
        "ratio": 1.0,
        "warm_up": 0.15,
        "init": "fill",
        "batch_loss": True,
    },
    ("K=4", "none", 16): {
        "lr": 2e-4,
        "lam": 0.5,
        "pooling": "max",
        "dim": 256,
        "schedule": "step",
        "k": 4,
    },
    ("K=4", "memory", 16): {
        "lr": 2e-4,
        "lam": 0.6,
        "pooling": "avg",
        "dim": 256,
        "schedule": "step",
        "k": 4,
        "ratio": 0.01,
        "warm_up": 0.15,
        "init": "fill",
        "batch_loss": True,
    },
    ("triplet", "none", 16): {
        "loss": "triplet",
        "lr": 8e-4,
        "eta": 0.05,
        "reduction": "sum",
        "pooling": "avg",
        "dim": 256,
        "schedule": "cosine",
        "k": 2,
    },
    ("triplet", "memory", 16): {
        "loss": "triplet",
        "lr": 4e-4,
        "eta": 0.1,
        "reduction": "sum",
        "pooling": "avg",
        "dim": 128,
        "schedule": "cosine",
        "k": 2,
        "ratio": 0.3,
        "warm_up": 0.3,
        "init": "sample",
        "batch_loss": True,
    },
    ("triplet", "none", 64): {
        "loss": "triplet",
        "lr": 8e-4,
        "eta": 0.1,
        "reduction": "mean",
        "pooling": "avg",
        "dim": 128,
        "schedule": "cosine",
        "k": 4,
    },
    ("triplet", "memory", 64): {
        "loss": "triplet",
        "lr": 4e-4,
        "eta": 0.1,
        "reduction": "mean",
        "pooling": "avg",
        "dim": 256,
        "schedule": "cosine",
        "k": 4,
        "ratio": 0.1,
        "warm_up": 0.3,
        "init": "fill",
        "batch_loss": True,
    },
    ("multi_similarity", "none", 16): {
        "loss": "multi_similarity",
        "lr": 8e-4,
        "lam": 0.6,
        "beta": 20.0,
        "pooling": "avg",
        "dim": 256,
        "schedule": "cosine",
        "k": 2,
    },
    ("multi_similarity", "memory", 16): {
        "loss": "multi_similarity",
        "lr": 8e-4,
        "lam": 0.6,
        "beta": 20.0,
        "pooling": "avg",
        "dim": 256,
        "schedule": "cosine",
        "k": 2,
        "ratio": 0.1,
        "warm_up": 0.15,
        "init": "sample",
        "batch_loss": True,
    },
    ("multi_similarity", "none", 64): {
        "loss": "multi_similarity",
        "lr": 8e-4,
        "lam": 0.6,
        "beta": 40.0,
        "pooling": "max",
        "dim": 256,
        "schedule": "step",
        "k": 4,
    },
    ("multi_similarity", "memory", 64): {
        "loss": "multi_similarity",
        "lr": 8e-4,
        "lam": 0.6,
        "beta": 40.0,
        "pooling": "max",
        "dim": 256,
        "schedule": "step",
        "k": 4,
        "ratio": 0.01,
        "warm_up": 0.05,
        "init": "fill",
        "batch_loss": False,
    },
}

# The next two settings of the search at K = 4 for the arm without memory: the gain is told over
# them too, since the trials are close to each other there.
NEXT_BASELINES: tuple[dict[str, Any], ...] = (
    {"lr": 1.6e-3, "lam": 0.6, "pooling": "max", "dim": 128, "schedule": "cosine", "k": 4},
    {"lr": 8e-4, "lam": 0.8, "pooling": "max", "dim": 128, "schedule": "cosine", "k": 4},
)
# What the losses' settings were searched in. The searches saw hanzi alone; the other data sets
# run with what they found, with and without memory alike.
LOSSES = {"contrastive": "free", "triplet": "triplet", "multi_similarity": "multi_similarity"}
DATA = ("hanzi", "emoji", "hangul")


@dataclass(frozen=True)
class Profile:
    """Size of the study.

    Attributes:
        images: images seen in one run; steps are images / batch.
        seeds: seeds of each point.
        ratios: R_M of Fig. 1 right, beside the baseline at 0.
        deltas: Δt of Fig. 3; the paper's 10, 100, 1000 times the schedule's scale.
        drift_images: images seen in the drift runs.
        batches: batch sizes of Fig. 1 left and middle and of Fig. 6.
        split: classes that are measured on.
    """

    name: str
    images: int
    seeds: int
    ratios: tuple[float, ...]
    deltas: tuple[int, ...]
    drift_images: int
    batches: tuple[int, ...]
    split: str = "test"


PROFILES = {
    p.name: p
    for p in (
        Profile("smoke", 480, 1, (0.01, 1.0), (1, 2, 4), 640, (16, 32), "validation"),
        Profile("quick", 32_000, 1, (0.01, 0.1, 1.0), (1, 10, 100), 38_400, (16, 64, 256)),
        Profile(
            "full",
            64_000,
            3,
            (0.001, 0.01, 0.03, 0.1, 0.3, 1.0),
            paper.DRIFT_DELTAS,
            192_000,
            (16, 32, 64, 128, 256),
        ),
    )
}


def sized(images: int, batch: int, settings: dict[str, Any], **fixed: Any) -> Experiment:
    """A run of so many images; "warm_up" in the settings is the share of it before the memory.

    Without memory it changes nothing but the run's id.
    """
    steps = max(2, images // batch)
    known = dict(settings)
    start = round(known.pop("warm_up", 0.25) * steps)
    return Experiment(batch=batch, steps=steps, start=start, **known, **fixed)


def experiment(
    profile: Profile,
    batch: int,
    *,
    seed: int,
    ratio: float | None,
    space: str = "free",
    rank: int = 1,
    **fixed: Any,
) -> Experiment:
    """A run with the tuned settings of its arm, those of the nearest batch size searched.

    Args:
        profile: its size.
        batch: m; halfway between two that were searched, the larger one's settings hold.
        seed: of everything random.
        ratio: R_M; 0 for the arm without memory, None for what the search of the arm with found.
        space: what was searched (:data:`xbmlib.study.search.SPACES`).
        rank: of the settings in their search; beyond 1 for the baseline of "K=4" alone.
        fixed: further fields, such as the data set.
    """
    arm = "none" if ratio == 0 else "memory"
    sizes = [b for s, a, b in TUNED if (s, a) == (space, arm)]
    nearest = min(sizes, key=lambda b: (abs(math.log(b / batch)), -b))
    tuned = TUNED[space, arm, nearest] if rank == 1 else NEXT_BASELINES[rank - 2]
    chosen = tuned if ratio is None else tuned | {"ratio": ratio}
    return sized(profile.images, batch, chosen, split=profile.split, seed=seed, **fixed)
