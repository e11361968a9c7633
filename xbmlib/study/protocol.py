"""The protocol of the study: the paper's and, where it states nothing, the released code's.

The two differ in the form of the memory, which the search chooses. K = 4 is the code's; an equal
number of updates at every batch size and an equal search of both arms are this study's. The
learning rate and margin of each arm, and what neither states for our backbone and data, come from
:mod:`xbmlib.study.search_protocol`, which chooses on the validation classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from xbmlib.storage import StorageError
from xbmlib.study import profiles
from xbmlib.study.chosen import Chosen, read_chosen
from xbmlib.study.profiles import DATA, Profile, nearest
from xbmlib.training.experiment import Experiment

# Written by `python -m xbmlib.study.search_protocol`.
CHOSEN_FILE = Path(__file__).with_name("protocol.json")
REMEDY = "restore the committed file, or run python -m xbmlib.study.search_protocol"
# The same in both arms. K is the released code's.
SHARED_FIELDS: dict[str, Any] = {"k": 4, "dim": 256, "pooling": "max", "schedule": "cosine"}
# Fields of a loss that are not searched.
LOSS_FIELDS: dict[str, dict[str, Any]] = {"triplet": {"reduction": "mean"}}
# The iteration at which the memory joins (Section 3.3), and its largest share of a shorter run:
# that of the search.
START, START_SHARE = 1000, 1 / 6
RATIOS = (0.0, 1.0)
# Updates from one evaluation of a run to the next.
EVALUATED_EVERY = 2000
# What Section 3.3 and Algorithm 1 leave to an implementation, or state and the released code does
# otherwise: how the memory starts, and which losses are minimised.
FORMS: dict[str, dict[str, Any]] = {
    "filled, batch's loss beside the memory's": {"init": "fill", "batch_loss": True},
    "filled, the memory's loss alone": {"init": "fill", "batch_loss": False},
    "sampled, batch's loss beside the memory's": {"init": "sample", "batch_loss": True},
    "sampled, the memory's loss alone": {"init": "sample", "batch_loss": False},
}
# The released code's.
FORM = FORMS["filled, batch's loss beside the memory's"]
# That of Section 3.3 and Algorithm 1.
AS_PRINTED = FORMS["sampled, the memory's loss alone"]
# The data sets of each search, by batch size and loss. At batch 64 it is made where R@1 is farthest
# from 100%, and serves the other sets.
SEARCHED = {
    (16, "contrastive"): DATA,
    (64, "contrastive"): (DATA[1],),
    (64, "triplet"): (DATA[1],),
    (64, "multi_similarity"): (DATA[1],),
}


@dataclass(frozen=True)
class Arm:
    """What settings are searched for; ``ratio`` is R_M, 0 for no memory."""

    data: str
    loss: str
    batch: int
    ratio: float

    def fields(self, steps: int, settings: dict[str, Any]) -> dict[str, Any]:
        """The fields of a run of a number of updates with settings of the search."""
        fixed = SHARED_FIELDS | FORM | LOSS_FIELDS.get(self.loss, {})
        start = min(START, round(steps * START_SHARE))
        return fixed | vars(self) | {"steps": steps, "start": start} | settings


class _Searched(Chosen):
    """An entry of ``protocol.json``: an arm and its best settings."""

    data: str
    loss: str
    batch: int
    ratio: float
    settings: dict[str, Any]

    @property
    def arm(self) -> Arm:
        return Arm(self.data, self.loss, self.batch, self.ratio)

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        if self.ratio not in RATIOS or self.data not in SEARCHED.get((self.batch, self.loss), ()):
            raise ValueError("no search is of this data set, batch size, loss and R_M")
        margin = "eta" if self.loss == "triplet" else "lam"
        if self.settings.keys() - FORM.keys() != {"lr", margin}:
            raise ValueError(f"settings are of lr and {margin}, and of {' and '.join(FORM)} alone")
        Experiment(**self.arm.fields(START, self.settings))
        return self


@cache
def chosen_settings() -> dict[Arm, dict[str, Any]]:
    """The settings of each arm whose search has finished.

    Raises:
        StorageError: ``protocol.json`` is missing or damaged.
    """
    return {entry.arm: entry.settings for entry in read_chosen(CHOSEN_FILE, _Searched, REMEDY)}


def finished(loss: str, batch: int, data: str) -> bool:
    """Whether the search of both arms on a data set has finished."""
    return all(Arm(data, loss, batch, ratio) in chosen_settings() for ratio in RATIOS)


def settings(arm: Arm) -> dict[str, Any]:
    """The settings of the searched arm that stands for an arm.

    It is that of the nearest batch size that the loss was searched at, of the same data set if it
    was searched there, and of R_M = 1 for every R_M above 0.

    Raises:
        StorageError: the search has not finished, or ``protocol.json`` is damaged.
    """
    batch = nearest([b for b, loss in SEARCHED if loss == arm.loss], arm.batch)
    sets = SEARCHED[batch, arm.loss]
    searched = Arm(
        data=arm.data if arm.data in sets else sets[0],
        loss=arm.loss,
        batch=batch,
        ratio=RATIOS[arm.ratio > 0],
    )
    found = chosen_settings().get(searched)
    if found is None:
        raise StorageError(
            f"{CHOSEN_FILE}: no settings of {arm.loss} at batch {batch} on {searched.data} with "
            f"R_M = {searched.ratio:g}, whose search has not finished; {REMEDY}"
        )
    return found


def experiment(
    profile: Profile,
    batch: int,
    *,
    seed: int,
    ratio: float,
    loss: str = "contrastive",
    data: str | None = None,
    **fixed: Any,
) -> Experiment:
    """A run by the protocol, evaluated while it trains; or by the profile's setting.

    Args:
        profile: size of the run; its ``updates`` are made at every batch size.
        batch: m.
        seed: seed of everything random.
        ratio: R_M; 0 for the arm with no memory.
        loss: the pair-based loss.
        data: the data set; by default the profile's first.
        fixed: further fields of the experiment.

    Raises:
        ConfigError: an invalid value, of whatever argument.
        StorageError: as :func:`settings`.
    """
    data = profiles.check(profile, data, batch=batch, seed=seed, ratio=ratio, loss=loss)
    if profile.setting is not None:
        space = profiles.LOSSES[loss]
        return profiles.experiment(
            profile, batch, seed=seed, ratio=ratio, space=space, data=data, **fixed
        )
    arm = Arm(data, loss, batch, ratio)
    fields = arm.fields(profile.updates, settings(arm))
    fields["evaluations"] = max(1, profile.updates // EVALUATED_EVERY)
    return Experiment(**fields | {"split": profile.split, "seed": seed} | fixed)
