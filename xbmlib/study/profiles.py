"""Profiles: the same experiments at several sizes, and the settings that the search chose."""

from __future__ import annotations

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
        "warm_up": 0.15,
        "init": "fill",
        "batch_loss": True,
    },
}


@dataclass(frozen=True)
class Profile:
    """Size of the study.

    Attributes:
        images: images seen in one run; steps are images / batch.
        seeds: seeds of each point.
        ratios: R_M of Fig. 1 right, beside the baseline at 0.
        deltas: Δt of Fig. 3; the paper's 10, 100, 1000 times the schedule's scale.
        drift_images: images seen in the drift runs.
        split: classes that are measured on.
    """

    name: str
    images: int
    seeds: int
    ratios: tuple[float, ...]
    deltas: tuple[int, ...]
    drift_images: int
    split: str = "test"


PROFILES = {
    p.name: p
    for p in (
        Profile("smoke", 480, 1, (0.01, 1.0), (1, 2, 4), 640, "validation"),
        Profile("quick", 32_000, 1, (0.01, 0.1, 1.0), (1, 10, 100), 38_400),
        Profile("full", 64_000, 3, (0.001, 0.01, 0.03, 0.1, 0.3, 1.0), paper.DRIFT_DELTAS, 192_000),
    )
}


def sized(images: int, batch: int, settings: dict[str, Any], **fixed: Any) -> Experiment:
    """A run of so many images; "warm_up" in the settings is the share of it before the memory."""
    steps = max(2, images // batch)
    known = dict(settings)
    start = round(known.pop("warm_up") * steps)
    return Experiment(batch=batch, steps=steps, start=start, **known, **fixed)


def experiment(
    profile: Profile, batch: int, *, seed: int, ratio: float, space: str = "free"
) -> Experiment:
    """A run with the tuned settings of its arm.

    Args:
        profile: its size.
        batch: 16, or 64 where the space has it.
        seed: of everything random.
        ratio: R_M; 0 for the arm without memory.
        space: "free", or "K=4" (:data:`xbmlib.study.search.SPACES`).
    """
    tuned = {"warm_up": 0.25} | TUNED[space, "memory" if ratio else "none", batch]
    return sized(profile.images, batch, tuned, split=profile.split, seed=seed, ratio=ratio)
