"""Figure 1 (left and middle) and Figure 6: R@1 against the size of the mini-batch.

By the protocol, at an equal number of updates at every batch size: both arms of the contrastive
loss. At an equal number of training images, by the earlier protocol: every loss, and shuffled
beside PK batches; there only what stands at one batch size is compared.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper.arms import MEMORY, NO_MEMORY, arm
from xbmlib.study import profiles, protocol
from xbmlib.study.comparison import Quantity, at, standing
from xbmlib.study.figures import ablation_memory_ratio
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, Profile
from xbmlib.study.words import beside_change, change, listed
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

RATIO = 1.0
SAMPLERS = ("pk", "shuffle")
# The batch sizes that the paper compares.
SMALL, LARGE = 16, 256
LOSS = "contrastive"
# Parts of the study: both arms by the protocol; losses and samplers by the earlier one.
ARMS, KINDS = "arms", "losses and samplers"
# By the protocol, the batch sizes of profile full so far: of the first data set, of the others.
FIRST_SIZES, OTHER_SIZES = (16, 64, 256), (16, 64)
INDEX = ["data", "loss", "ratio", "sampler", "batch", "seed"]


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "ablation_batch_size"


def sizes(profile: Profile, data: str) -> tuple[int, ...]:
    """The batch sizes of the part by the protocol."""
    if profile.name != "full":
        return profile.batches
    return FIRST_SIZES if data == profile.first else OTHER_SIZES


def cases(profile: Profile) -> list[dict[str, Any]]:
    """Every point as part, data, loss, ratio, sampler and batch."""
    first = {"data": profile.first, "loss": LOSS, "ratio": 0.0, "sampler": "pk"}
    arms = [*(first | {"data": data} for data in profile.data), first | {"ratio": RATIO}]
    left = [first | {"loss": loss} for loss in LOSSES]
    six = [first | {"ratio": r, "sampler": s} for r in (0.0, RATIO) for s in SAMPLERS]
    kinds = {tuple(curve.values()): curve for curve in [*left, *six]}.values()
    return [
        {"part": ARMS} | curve | {"batch": batch}
        for curve in arms
        for batch in sizes(profile, str(curve["data"]))
    ] + [{"part": KINDS} | curve | {"batch": batch} for curve in kinds for batch in profile.batches]


def _experiment(profile: Profile, case: dict[str, Any], seed: int) -> Experiment:
    common: Any = {"seed": seed, "ratio": case["ratio"], "data": case["data"]}
    loss, sampler, batch = case["loss"], case["sampler"], case["batch"]
    # A setting of the paper's scale has equal updates in both parts, and each run once.
    if case["part"] == ARMS or (profile.setting and (loss, sampler) == (LOSS, "pk")):
        # The runs of Fig. 1 right.
        if batch == ablation_memory_ratio.BATCH:
            return ablation_memory_ratio.point(profile, **common)
        return protocol.experiment(profile, batch, **common)
    return profiles.experiment(profile, batch, space=LOSSES[loss], sampler=sampler, **common)


def _listed(parameters: Parameters) -> list[dict[str, Any]]:
    return [
        case | {"seed": seed} for case in cases(parameters.size) for seed in parameters.seed_range
    ]


def experiments(parameters: Parameters) -> list[Experiment]:
    """Every point of every curve."""
    return [_experiment(parameters.size, row, row["seed"]) for row in _listed(parameters)]


def frame(parameters: Parameters, store: RunStore | None = None) -> pd.DataFrame:
    """Run or load every curve.

    Returns:
        One row per run: part, data, loss, ratio, sampler, batch, seed, updates, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store, parameters.quicker(experiments))
    return pd.DataFrame(
        [
            row | {"updates": run.experiment.steps, "R@1": 100 * run.recall["R@1"], "run": run.id}
            for row, run in zip(_listed(parameters), runs, strict=True)
        ]
    )


def r1_of(data: pd.DataFrame, part: str) -> pd.Series:
    """R@1 of a part by :data:`INDEX`."""
    return data[data["part"] == part].set_index(INDEX)["R@1"].sort_index()


def comparison(data: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """R@1 and its change with the batch size, beside what the paper prints of SOP."""
    profile = parameters.size
    r1 = r1_of(data, ARMS)
    names = {
        ours: standing(profile, name) for name, ours in zip(paper.SETS, profile.data, strict=True)
    }
    of = f"{names[profile.first]}, {LOSS}"
    none, memory = (at(r1, profile.first, LOSS, ratio, "pk") for ratio in (0.0, RATIO))
    table_2 = {(row.batch, row.ratio): row.r1 for row in paper.COST}
    rows = [
        Quantity(of, f"R@1 at batch {batch}, {arm(ratio)}, %", at(curve, batch), stated)
        for curve, batch, ratio, stated in (
            (none, 64, 0.0, table_2[64, 0.0]),
            (none, LARGE, 0.0, paper.SOP_R1_BATCH_256.value),
            (memory, SMALL, RATIO, paper.SOP_R1_BATCH_16_MEMORY.value),
            (memory, 64, RATIO, table_2[64, RATIO]),
        )
    ]
    grows = "R@1 at batch {} minus that at {}, {}, points"
    stated = {NO_MEMORY: paper.SOP_GAIN_16_TO_256, arm(RATIO): paper.SOP_MEMORY_GAIN_16_TO_256}
    rows += [
        Quantity(
            of,
            grows.format(LARGE, SMALL, name),
            (at(curve, LARGE) - at(curve, SMALL)).dropna(),
            stated[name].value,
        )
        for name, curve in ((NO_MEMORY, none), (arm(RATIO), memory))
    ]
    for ours in profile.data[1:]:
        curve = at(r1, ours, LOSS, 0.0, "pk")
        least, *_, most = sorted(curve.index.unique("batch"))
        rows.append(
            Quantity(
                f"{names[ours]}, {LOSS}",
                grows.format(most, least, NO_MEMORY),
                at(curve, most) - at(curve, least),
            )
        )
    kinds = r1_of(data, KINDS)
    shuffled, pk = (at(kinds, profile.first, LOSS, RATIO, sampler) for sampler in ("shuffle", "pk"))
    return rows + [
        Quantity(
            f"{of}, {profile.equal}",
            f"R@1 with shuffled minus with PK batches at batch {batch}, {arm(RATIO)}, points",
            at(shuffled, batch) - at(pk, batch),
        )
        for batch in profile.batches
    ]


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    profile = parameters.size
    r1, kinds = r1_of(data, ARMS), r1_of(data, KINDS)
    none, memory = (at(r1, profile.first, LOSS, ratio, "pk") for ratio in (0.0, RATIO))
    batches = sorted(none.index.unique("batch"))
    least, most = batches[0], batches[-1]
    stated = (paper.SOP_GAIN_16_TO_256, paper.SOP_MEMORY_GAIN_16_TO_256)
    theirs = [beside_change(s.value) if most == LARGE else "" for s in stated]
    gains = [f"{change(memory[batch] - none[batch])} at batch {batch}" for batch in batches]
    shuffled, pk = (at(kinds, profile.first, LOSS, RATIO, sampler) for sampler in ("shuffle", "pk"))
    behind = [f"{(shuffled[n] - pk[n]).mean():+.1f} points at batch {n}" for n in profile.batches]
    fewer = "" if profile.setting else ", where a larger batch makes fewer updates"
    return (
        f"From batch {least} to {most}, at {profile.updates:,} updates each, R@1 with the "
        f"contrastive loss on {profile.first_name} {change(none[most] - none[least])} with "
        f"{NO_MEMORY}{theirs[0]} and {change(memory[most] - memory[least])} with {MEMORY}"
        f"{theirs[1]}. From {NO_MEMORY} to {MEMORY} it {listed(gains)}. R@1 with {MEMORY} and "
        f"shuffled batches minus R@1 with {MEMORY} and PK batches, {profile.equal}{fewer}, is "
        f"{listed([behind[0], behind[-1]])}: positives of a shuffled batch come from the memory "
        "alone."
    )
