"""Profiles: the same experiments at several sizes, with the settings that the search chose."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from xbmlib import datasets, paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY
from xbmlib.storage import StorageError
from xbmlib.study.chosen import Chosen, read_chosen
from xbmlib.training.experiment import ConfigError, Experiment, shown

# Written by `python -m xbmlib.study.search`, which chooses on the validation classes, with equally
# many trials for both arms.
TUNED_FILE = Path(__file__).with_name("tuned.json")
Settings = dict[str, Any]
REMEDY = "restore the committed file, or run python -m xbmlib.study.search"
# Loss to the space of its search.
LOSSES = {"contrastive": "free", "triplet": "triplet", "multi_similarity": "multi_similarity"}
DATA = tuple(paper.COUNTERPARTS)
# The paper's data sets: our names to the printed ones.
PRINTED = dict(paper.COUNTERPARTS.values())


@dataclass(frozen=True)
class Profile:
    """Size of the study.

    Attributes:
        name: its name.
        images: training images of one run of those studies that compare batch sizes at an equal
            number of images; its steps are images / batch.
        updates: steps of one run of those that follow the protocol
            (:mod:`xbmlib.study.protocol`), at every batch size.
        seeds: number of seeds per point.
        ratios: R_M of Fig. 1 right, in addition to the baseline with no memory.
        deltas: Δt of Fig. 3; the paper's 10, 100 and 1000, scaled like the schedule.
        drift_images: training images of a drift run.
        batches: batch sizes of Fig. 1 left and middle and of Fig. 6.
        split: the classes of the evaluation.
        data: the counterparts of SOP, In-shop and VehicleID, or those themselves.
        setting: name in :data:`xbmlib.paper.SETTINGS`; None for the settings of the search.
        brief: whether to limit Fig. 1 right, Fig. 7 and Table 1's triplet and multi-similarity loss
            to the first data set, and the stronger baseline to one setting and two R_M.
    """

    name: str
    images: int
    updates: int
    seeds: int
    ratios: tuple[float, ...]
    deltas: tuple[int, ...]
    drift_images: int
    batches: tuple[int, ...]
    split: str = "test"
    data: tuple[str, ...] = DATA
    setting: str | None = None
    brief: bool = False

    def steps(self, batch: int) -> int:
        """Updates of a run at a batch size, where they are not equal at every size."""
        return self.updates if self.setting else max(2, self.images // batch)

    @property
    def equal(self) -> str:
        """What runs at different batch sizes have in common."""
        return f"at an equal number of {'updates' if self.setting else 'training images'}"

    @property
    def first(self) -> str:
        """The data set of every study of a single one: SOP or its counterpart."""
        return self.data[0]

    @property
    def first_name(self) -> str:
        """The first data set as a verdict names it."""
        return self.name_data(self.first)

    @property
    def main_data(self) -> tuple[str, ...]:
        """The data sets of Fig. 1 right, of Fig. 7, and of Table 1's triplet and MS loss."""
        return self.data[:1] if self.brief else self.data

    @property
    def stands_for(self) -> dict[str, str]:
        """The paper's data sets to what stands for them: themselves, or rendered ones."""
        return dict(zip(paper.SETS, map(self.printed, self.data), strict=True))

    @staticmethod
    def printed(data: str) -> str:
        """A data set as the paper prints it, if it is the paper's."""
        return PRINTED.get(data, data)

    def name_data(self, *data: str) -> str:
        """Data sets as a verdict names them; all of the profile's if none is given."""
        data = data or self.data
        if self.setting is None:
            return f"{', '.join(data)} (rendered)"
        return ", ".join(map(self.printed, data))


PROFILES = {
    p.name: p
    for p in (
        Profile("smoke", 480, 30, 1, (0.01, 1.0), (1, 2, 4), 640, (16, 32), "smoke"),
        Profile("quick", 24_000, 2000, 1, (0.01, 1.0), (1, 10, 100), 38_400, (16, 64), brief=True),
        Profile(
            "full",
            64_000,
            12_000,
            3,
            (0.01, 0.1, 0.3, 1.0),
            paper.DRIFT_DELTAS,
            384_000,
            (16, 32, 64, 128, 256),
        ),
        *(
            Profile(
                name,
                setting.fields["steps"] * setting.fields["batch"],
                setting.fields["steps"],
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


class _Tuned(Chosen):
    """An entry of ``tuned.json``: the settings of an arm, best first."""

    data: str
    space: str
    arm: Literal["no memory", "memory"]
    batch: Annotated[int, Field(ge=2)]
    settings: Annotated[list[Settings], Field(min_length=1)]

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        for one in self.settings:
            if "lr" not in one or one.keys() & {"data", "batch", "steps", "split", "seed"}:
                raise ValueError("settings have lr, and nothing that a run states itself")
            if not isinstance(one.get("warm_up", 0.0), float):
                raise ValueError(f"warm_up={shown(one['warm_up'])}: give a share of the steps")
            sized(1000, self.batch, one)
        return self


@cache
def tuned_settings() -> dict[tuple[str, str, str, int], list[Settings]]:
    """(data, space, arm, batch) to its settings, best first.

    Raises:
        StorageError: ``tuned.json`` is missing or damaged.
    """
    entries = read_chosen(TUNED_FILE, _Tuned, REMEDY)
    return {(e.data, e.space, e.arm, e.batch): e.settings for e in entries}


def sized(steps: int, batch: int, settings: dict[str, Any], **fixed: Any) -> Experiment:
    """A run of a number of updates.

    "warm_up" in the settings is the share of the steps before the memory joins; with no memory it
    changes nothing but the id of the run.
    """
    known = dict(settings)
    known.setdefault("start", round(known.pop("warm_up", 0.25) * steps))
    return Experiment(batch=batch, steps=steps, **known, **fixed)


def tuned(data: str, space: str, arm: str, batch: int) -> list[Settings]:
    """The settings that the search found for an arm, best first.

    Of the data set if it was searched, else of hanzi; of the searched batch size that is nearest on
    a logarithmic scale, the larger of two at the same distance.

    Raises:
        StorageError: no search of the space and arm is in ``tuned.json``, or that is damaged.
    """
    found = tuned_settings()
    searched = {d for d, s, a, _ in found if (s, a) == (space, arm)}
    data = data if data in searched else DATA[0]
    sizes = [b for d, s, a, b in found if (d, s, a) == (data, space, arm)]
    if not sizes:
        known = ", ".join(dict.fromkeys(s for _, s, _, _ in found)) or "none"
        raise StorageError(
            f"{TUNED_FILE}: no settings of space {space!r} with {arm}; its spaces: {known}; "
            f"{REMEDY}"
        )
    return found[data, space, arm, nearest(sizes, batch)]


def nearest(sizes: Iterable[int], batch: int) -> int:
    """The nearest batch size on a logarithmic scale, the larger of two at the same distance."""
    return min(sizes, key=lambda size: (abs(math.log(size / batch)), -size))


def weights_folder() -> Path:
    """The folder of local initial weights, named <backbone>.pth."""
    return datasets.root() / "weights"


def initial_weights(backbone: str) -> str | None:
    """A backbone's ImageNet weights: a local file, else torchvision's name, else None."""
    for ending in (".safetensors", ".pth", ".pt"):
        if (path := weights_folder() / f"{backbone}{ending}").is_file():
            return str(path)
    return None if backbone == "bninception" else "IMAGENET1K_V1"


def stated(setting: str, space: str) -> Settings:
    """A setting of the paper's scale, with the loss that a space searches."""
    loss = next((loss for loss, name in LOSSES.items() if name == space), "contrastive")
    fields = paper.SETTINGS[setting].fields | paper.LOSS_FIELDS[loss]
    fields["weights"] = initial_weights(fields["backbone"])
    return {name: value for name, value in fields.items() if name not in ("batch", "steps")}


def check(profile: Profile, data: str | None, **fields: Any) -> str:
    """The data set of a run, once what its settings are chosen by is valid.

    Args:
        profile: size of the run.
        data: one of the profile's data sets; None for its first.
        fields: of the experiment, but its settings.

    Raises:
        ConfigError: a data set that the profile does not run on, or an invalid field.
    """
    # K, which a shuffled batch ignores, is among the settings.
    Experiment(sampler="shuffle", start=0, **fields)
    if data is not None and data not in profile.data:
        raise ConfigError(
            f"data={shown(data)}: profile {profile.name} runs on {', '.join(profile.data)}"
        )
    return profile.first if data is None else data


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
    """A run with the tuned settings of its arm (:func:`tuned`), or with the profile's setting.

    Args:
        profile: size of the run.
        batch: m.
        seed: seed of everything random.
        ratio: R_M; 0 for the arm with no memory, None for the R_M that the search found.
        space: space of the search (:data:`xbmlib.study.search.SPACES`).
        rank: rank of the settings in their search, from 1.
        data: the data set; by default the profile's first.
        fixed: further fields of the experiment.

    Raises:
        ConfigError: an invalid value, of whatever argument.
        StorageError: as :func:`tuned`.
    """
    data = check(profile, data, batch=batch, seed=seed, ratio=0.0 if ratio is None else ratio)
    if profile.setting is None:
        found = tuned(data, space, NO_MEMORY if ratio == 0 else MEMORY, batch)
        if rank not in range(1, len(found) + 1):
            raise ConfigError(f"rank={shown(rank)}: give an integer from 1 to {len(found)}")
        chosen = found[rank - 1]
    else:
        chosen = stated(profile.setting, space)
    if ratio is not None:
        chosen = chosen | {"ratio": ratio}
    return sized(
        profile.steps(batch), batch, chosen, split=profile.split, seed=seed, data=data, **fixed
    )
