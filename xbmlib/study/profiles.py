"""Profiles: the same experiments at several sizes, and the settings that the search chose."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbmlib import paper
from xbmlib.config import Experiment

# Written by `python -m xbmlib.study.search`, which chooses on the validation classes, the arm
# without memory with as many trials as the arm with.
TUNED_FILE = Path(__file__).with_name("tuned.json")
Settings = dict[str, Any]
# (data, space, arm, batch) to its settings, best first.
TUNED: dict[tuple[str, str, str, int], list[Settings]] = {
    (arm["data"], arm["space"], arm["arm"], arm["batch"]): arm["settings"]
    for arm in json.loads(TUNED_FILE.read_text(encoding="utf-8"))
}
# What the losses' settings were searched in.
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


def tuned(data: str, space: str, arm: str, batch: int) -> list[Settings]:
    """What the search found for an arm, best first: on this data set or else on hanzi.

    Of the batch sizes that were searched the nearest counts; halfway between two, the larger.
    """
    known = {d for d, s, a, _ in TUNED if (s, a) == (space, arm)}
    where = data if data in known else DATA[0]
    sizes = [b for d, s, a, b in TUNED if (d, s, a) == (where, space, arm)]
    nearest = min(sizes, key=lambda b: (abs(math.log(b / batch)), -b))
    return TUNED[where, space, arm, nearest]


def experiment(
    profile: Profile,
    batch: int,
    *,
    seed: int,
    ratio: float | None,
    space: str = "free",
    rank: int = 1,
    data: str = DATA[0],
    **fixed: Any,
) -> Experiment:
    """A run with the tuned settings of its arm (:func:`tuned`).

    Args:
        profile: its size.
        batch: m.
        seed: of everything random.
        ratio: R_M; 0 for the arm without memory, None for what the search of the arm with found.
        space: what was searched (:data:`xbmlib.study.search.SPACES`).
        rank: of the settings in their search, from 1.
        data: the data set.
        fixed: further fields.
    """
    chosen = tuned(data, space, "none" if ratio == 0 else "memory", batch)[rank - 1]
    if ratio is not None:
        chosen = chosen | {"ratio": ratio}
    return sized(profile.images, batch, chosen, split=profile.split, seed=seed, data=data, **fixed)
