"""Profiles: the same experiments at several sizes, and the settings that the search chose."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbmlib import datasets, paper
from xbmlib.training.experiment import Experiment

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
# The paper's data sets by their names here, as printed.
PRINTED = {"sop": "SOP", "inshop": "In-shop", "vehicleid": "VehicleID"}


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
        data: the data sets that stand for SOP, In-shop and VehicleID, or those themselves.
        setting: of :data:`xbmlib.paper.SETTINGS`; None for what the searches found.
        ratio_seeds: seeds of Fig. 1 right, where they are not those of the rest.
        brief: leaves Fig. 7 and Table 1's triplet and multi-similarity loss to the first data set,
            and the composition of the batch to one setting of its baseline and two memories.
    """

    name: str
    images: int
    seeds: int
    ratios: tuple[float, ...]
    deltas: tuple[int, ...]
    drift_images: int
    batches: tuple[int, ...]
    split: str = "test"
    data: tuple[str, ...] = DATA
    setting: str | None = None
    ratio_seeds: int | None = None
    brief: bool = False

    @property
    def first(self) -> str:
        """The data set of every study of one: SOP, or what stands for it."""
        return self.data[0]

    @property
    def first_told(self) -> str:
        """The first data set as a verdict names it."""
        return self.told(self.first)

    @property
    def pictured(self) -> tuple[str, ...]:
        """The data sets of Fig. 7, and of all of Table 1's losses."""
        return self.data[:1] if self.brief else self.data

    def told(self, *names: str) -> str:
        """Data sets as a verdict names them, all of the profile's unless named."""
        named = names or self.data
        if self.setting is None:
            return f"{', '.join(named)} (drawn)"
        return ", ".join(PRINTED[name] for name in named)


PROFILES = {
    p.name: p
    for p in (
        Profile("smoke", 480, 1, (0.01, 1.0), (1, 2, 4), 640, (16, 32), "validation"),
        Profile("quick", 24_000, 1, (0.01, 0.1, 1.0), (1, 10, 100), 38_400, (16, 64), brief=True),
        Profile(
            "full",
            64_000,
            3,
            (0.001, 0.01, 0.03, 0.1, 0.3, 1.0),
            paper.DRIFT_DELTAS,
            192_000,
            (16, 32, 64, 128, 256),
            ratio_seeds=5,
        ),
        *(
            Profile(
                name,
                setting.fields["steps"] * setting.fields["batch"],
                1,
                (0.001, 0.01, 0.03, 0.1, 0.3, 1.0),
                paper.DRIFT_DELTAS,
                setting.fields["steps"] * setting.fields["batch"],
                (16, 32, 64, 128, 256),
                data=tuple(PRINTED),
                setting=name,
            )
            for name, setting in paper.SETTINGS.items()
        ),
    )
}


def sized(images: int, batch: int, settings: dict[str, Any], **fixed: Any) -> Experiment:
    """A run of so many images; "warm_up" in the settings is the share of it before the memory.

    Without memory it changes nothing but the run's id.
    """
    steps = max(2, images // batch)
    known = dict(settings)
    known.setdefault("start", round(known.pop("warm_up", 0.25) * steps))
    return Experiment(batch=batch, steps=steps, **known, **fixed)


def tuned(data: str, space: str, arm: str, batch: int) -> list[Settings]:
    """What the search found for an arm, best first: on this data set or else on hanzi.

    Of the batch sizes that were searched the nearest counts; halfway between two, the larger.
    """
    known = {d for d, s, a, _ in TUNED if (s, a) == (space, arm)}
    where = data if data in known else DATA[0]
    sizes = [b for d, s, a, b in TUNED if (d, s, a) == (where, space, arm)]
    nearest = min(sizes, key=lambda b: (abs(math.log(b / batch)), -b))
    return TUNED[where, space, arm, nearest]


def weights_folder() -> Path:
    """Where local files of initial weights are looked for, as <backbone>.pth."""
    return datasets.root() / "weights"


def initial_weights(backbone: str) -> str | None:
    """ImageNet's weights of a backbone: its local file, or torchvision's name; None: neither."""
    for ending in (".safetensors", ".pth", ".pt"):
        if (path := weights_folder() / f"{backbone}{ending}").is_file():
            return str(path)
    return None if backbone == "bninception" else "IMAGENET1K_V1"


def stated(setting: str, space: str) -> Settings:
    """A setting of the paper's scale, with the loss that a space is of."""
    loss = next((loss for loss, name in LOSSES.items() if name == space), "contrastive")
    fields = paper.SETTINGS[setting].fields | paper.LOSS_FIELDS[loss]
    fields["weights"] = initial_weights(fields["backbone"])
    return {name: value for name, value in fields.items() if name not in ("batch", "steps")}


def experiment(
    profile: Profile,
    batch: int,
    *,
    seed: int,
    ratio: float | None,
    space: str = "free",
    rank: int = 1,
    data: str | None = None,
    **fixed: Any,
) -> Experiment:
    """A run with the tuned settings of its arm (:func:`tuned`), or the profile's own setting.

    Args:
        profile: its size.
        batch: m.
        seed: of everything random.
        ratio: R_M; 0 for the arm without memory, None for what the search of the arm with found.
        space: what was searched (:data:`xbmlib.study.search.SPACES`).
        rank: of the settings in their search, from 1.
        data: the data set; the profile's first when left out.
        fixed: further fields.
    """
    data = data or profile.first
    if profile.setting is None:
        chosen = tuned(data, space, "none" if ratio == 0 else "memory", batch)[rank - 1]
    else:
        chosen = stated(profile.setting, space)
    if ratio is not None:
        chosen = chosen | {"ratio": ratio}
    return sized(profile.images, batch, chosen, split=profile.split, seed=seed, data=data, **fixed)
