"""Figure 1 (left and middle) and Figure 6: R@1 against the size of the mini-batch."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from xbmlib import paper
from xbmlib.paper import claims
from xbmlib.paper.arms import NO_MEMORY, arm, loss_name
from xbmlib.study.comparison import Quantity, at, standing
from xbmlib.study.notebook import StudyParameters
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import LOSSES, Profile, experiment
from xbmlib.study.verdict import Verdict, judged
from xbmlib.study.words import beside, change
from xbmlib.training.experiment import Experiment
from xbmlib.training.store import RunStore

RATIO = 1.0
SAMPLERS = ("pk", "shuffle")
# The batch sizes that the paper compares.
SMALL, LARGE = 16, 256
LOSS = "contrastive"


class Parameters(StudyParameters):
    """The parameters that every study has."""

    notebook: ClassVar[str] = "ablation_batch_size"


def cases(profile: Profile) -> list[dict[str, Any]]:
    """Every point as data, loss, ratio, sampler and batch."""
    first = {"data": profile.first, "loss": LOSS, "ratio": 0.0, "sampler": "pk"}
    left = [first | {"loss": loss} for loss in LOSSES]
    middle = [first | {"data": data} for data in profile.data]
    six = [first | {"ratio": r, "sampler": s} for r in (0.0, RATIO) for s in SAMPLERS]
    once = {tuple(curve.values()): curve for curve in [*left, *middle, *six]}
    return [curve | {"batch": batch} for curve in once.values() for batch in profile.batches]


def _experiment(profile: Profile, case: dict[str, Any], seed: int) -> Experiment:
    return experiment(
        profile,
        case["batch"],
        seed=seed,
        ratio=case["ratio"],
        space=LOSSES[case["loss"]],
        data=case["data"],
        sampler=case["sampler"],
    )


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
        One row per run: data, loss, ratio, sampler, batch, seed, R@1 (percent), run.
    """
    runs = run_all(experiments(parameters), store)
    return pd.DataFrame(
        [
            row | {"R@1": 100 * run.recall["R@1"], "run": run.id}
            for row, run in zip(_listed(parameters), runs, strict=True)
        ]
    )


def verdicts(data: pd.DataFrame, parameters: Parameters) -> list[Verdict]:
    """The claims of Section 3.1, of Section 4.3, "Mini-batch Size", and of Fig. 1 and 6."""
    r1 = data.set_index(["data", "loss", "ratio", "sampler", "batch", "seed"])["R@1"].sort_index()
    profile = parameters.size
    sop = profile.first
    least, most = data["batch"].min(), data["batch"].max()
    where = f"{profile.equal}, profile {parameters.profile}"
    common: Any = {"names": profile.stands_for}

    def curve(name: str, loss: str, ratio: float = 0.0, sampler: str = "pk") -> pd.Series:
        """R@1 by batch size and seed."""
        return r1[name, loss, ratio, sampler]

    def change(*of: Any) -> pd.Series:
        """R@1 at the paper's largest batch minus that at its smallest, where both are run."""
        found = curve(*of)
        return found[LARGE] - found[SMALL] if most == LARGE else found.iloc[:0]

    larger = {f"SOP, {loss_name(loss)}": change(sop, loss) for loss in LOSSES} | {
        f"{name}, {LOSS}": change(ours, LOSS)
        for name, ours in zip(paper.SETS, profile.data, strict=True)
    }
    weighted = {
        f"batch {batch}": curve(sop, "multi_similarity")[batch] - curve(sop, LOSS)[batch]
        for batch in (16, 32)
        if batch in profile.batches
    }
    none, memory = curve(sop, LOSS), curve(sop, LOSS, RATIO)
    small = memory[SMALL] - none[LARGE] if most == LARGE else none.iloc[:0]
    without, with_memory = change(sop, LOSS).abs(), change(sop, LOSS, RATIO).abs()
    by_sampler = {
        f"batch {batch}": curve(sop, LOSS, RATIO, "shuffle")[batch] - memory[batch]
        for batch in profile.batches
    }
    of = f"{LOSS} on {profile.printed(sop)}"
    levels = {
        name: _levels(f"{of}, {name}", r1_of)
        for name, r1_of in ((arm(RATIO), memory), (NO_MEMORY, none))
    }

    def across(values: dict[str, pd.Series], *arms: str) -> dict[str, Any]:
        """What a claim that compares batch sizes is judged by, and the levels of R@1."""
        detail = "; ".join(levels[name] for name in arms)
        if profile.compares_batches:
            return {"values": values, "detail": detail}
        return {
            "values": {},
            "detail": f"not judged {profile.equal}, where a larger batch makes fewer updates: "
            f"{detail}",
            "seeds": data["seed"].nunique(),
        }

    at_sop = f"{profile.first_name}, batch {least} to {most}, {where}"
    return [
        judged(
            claims.LARGER_BATCH_HELPS,
            data=f"{profile.name_data()}, {NO_MEMORY}, batch {least} to {most}, {where}",
            **across(larger, NO_MEMORY),
            **common,
        ),
        judged(
            claims.WEIGHTING_HELPS_SMALL_BATCHES,
            weighted,
            data=f"{profile.first_name}, {NO_MEMORY}, {where}",
            **common,
        ),
        judged(
            claims.BATCH_16_BEATS_256,
            data=at_sop,
            **across({"SOP": small}, arm(RATIO), NO_MEMORY),
            **common,
        ),
        judged(
            claims.BATCH_MATTERS_LITTLE,
            sizes={"SOP": with_memory} if profile.compares_batches else None,
            data=at_sop,
            **across({"SOP": without - with_memory}, arm(RATIO), NO_MEMORY),
            **common,
        ),
        judged(
            claims.SHUFFLE_AS_GOOD,
            by_sampler,
            data=f"{at_sop}, {arm(RATIO)}",
            **common,
        ),
    ]


def _levels(name: str, curve: pd.Series) -> str:
    """R@1 at the smallest and the largest batch."""
    batches = curve.index.get_level_values("batch")
    least, most = batches.min(), batches.max()
    r1 = [f"{curve[batch].mean():.1f} at batch {batch}" for batch in (least, most)]
    return f"{name}: R@1 {', '.join(r1)}"


def comparison(data: pd.DataFrame, parameters: Parameters) -> list[Quantity]:
    """R@1 and its change with the batch size, beside what the paper prints of SOP."""
    profile = parameters.size
    r1 = data.set_index(["data", "loss", "ratio", "sampler", "batch", "seed"])["R@1"].sort_index()
    names = {
        ours: standing(profile, name) for name, ours in zip(paper.SETS, profile.data, strict=True)
    }
    sop = at(r1, profile.first, LOSS)
    of = f"{names[profile.first]}, contrastive"
    none, memory = at(sop, 0.0, "pk"), at(sop, RATIO, "pk")
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
    grows = f"R@1 at batch {LARGE} minus that at {SMALL}, {{}}, points"
    stated = {NO_MEMORY: paper.SOP_GAIN_16_TO_256, arm(RATIO): paper.SOP_MEMORY_GAIN_16_TO_256}
    rows += [
        Quantity(of, grows.format(name), at(curve, LARGE) - at(curve, SMALL), stated[name].value)
        for name, curve in ((NO_MEMORY, none), (arm(RATIO), memory))
    ]
    shuffled = at(sop, RATIO, "shuffle")
    rows += [
        Quantity(
            of,
            f"R@1 with shuffled minus with PK batches at batch {batch}, {arm(RATIO)}, points",
            at(shuffled, batch) - at(memory, batch),
        )
        for batch in profile.batches
    ]
    others = [(profile.first, loss) for loss in LOSSES] + [(ours, LOSS) for ours in profile.data]
    for ours, loss in dict.fromkeys(others):
        if (ours, loss) != (profile.first, LOSS):
            curve = at(r1, ours, loss, 0.0, "pk")
            values = at(curve, LARGE) - at(curve, SMALL)
            of = f"{names[ours]}, {loss_name(loss)}"
            rows.append(Quantity(of, grows.format(NO_MEMORY), values))
    return rows


def closing(data: pd.DataFrame, parameters: Parameters) -> str:
    """What came out, and why, in words."""
    profile = parameters.size
    r1 = data.set_index(["data", "loss", "ratio", "sampler", "batch", "seed"])["R@1"].sort_index()
    least, most = min(profile.batches), max(profile.batches)
    sop = at(r1, profile.first, LOSS)
    none, memory = at(sop, 0.0, "pk"), at(sop, RATIO, "pk")
    gap = at(sop, RATIO, "shuffle") - memory
    stated = (paper.SOP_GAIN_16_TO_256.value, paper.SOP_MEMORY_GAIN_16_TO_256.value)
    why = (
        f"All runs make {profile.updates:,} updates."
        if profile.setting
        else f"All runs see {profile.images:,} training images, so batch {most} makes "
        f"{profile.steps(most):,} updates and batch {least} {profile.steps(least):,}: a larger "
        "batch has more negatives and fewer updates (`training_length` separates the two)."
    )
    return (
        f"From batch {least} to {most}, R@1 with the contrastive loss on {profile.first_name} "
        f"{change(none[most] - none[least])} with {NO_MEMORY}{beside(stated[0], ' points')} and "
        f"{change(memory[most] - memory[least])} with memory{beside(stated[1], ' points')}. {why} "
        f"From batch {least} with {NO_MEMORY} to the same batch with memory it "
        f"{change(memory[least] - none[least])}. With memory, R@1 with shuffled batches minus R@1 "
        f"with PK batches is {gap[least].mean():+.1f} points at batch {least} and "
        f"{gap[most].mean():+.1f} at batch {most}: positives of a shuffled batch come from the "
        "memory alone."
    )
