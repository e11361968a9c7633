"""A memory that makes the embeddings alike, and one that does not: what is seen while training."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

import pandas as pd
import torch
from pydantic import Field

from xbmlib import XBM, ContrastiveLoss, PKSampler, recall_at_k
from xbmlib.diagnose import CollapseWarning, Diagnosis, Health
from xbmlib.paper.arms import NO_MEMORY
from xbmlib.study.figures.small import DIM, Part, Small, classes
from xbmlib.study.measured import measured
from xbmlib.study.notebook import Checked
from xbmlib.study.words import listed

BATCH, EVERY = 16, 10
# Shares of the R@1 with no memory: a run below the first is hurt, one at or above the second is
# healthy; what lies between counts as neither.
HURT_BELOW, HEALTHY_FROM = 0.8, 0.9


@dataclass(frozen=True)
class Arm:
    """Attributes: ratio: R_M; start, batch_loss: of :class:`xbmlib.XBM`; lam: λ; lr: of Adam."""

    ratio: float = 1.0
    start: int = 0
    batch_loss: bool = True
    lam: float = 0.5
    lr: float = 1e-3


ARMS = {
    NO_MEMORY: Arm(ratio=0.0),
    "memory alone from step 0": Arm(batch_loss=False),
    "memory alone from step 0, R_M = 0.3": Arm(ratio=0.3, batch_loss=False),
    "memory alone after 20 steps": Arm(start=20, batch_loss=False),
    "memory alone after 100 steps": Arm(start=100, batch_loss=False),
    "memory and batch loss from step 0": Arm(),
    "memory and batch loss after 100 steps": Arm(start=100),
    "memory and batch loss after 100 steps, λ = 0.8, half the rate": Arm(
        start=100, lam=0.8, lr=5e-4
    ),
}
COLLAPSING = "memory alone from step 0"
HEALTHY = "memory and batch loss after 100 steps"


class Parameters(Checked):
    """Attributes: data: set; steps: updates of each run; seed: of classes, weights and batches.

    ``profile`` only names the folder of the figure: a run takes seconds and is not stored.
    """

    notebook: ClassVar[str] = "diagnosis"
    profile: ClassVar[Literal["benchmarks"]] = "benchmarks"

    data: Literal["hanzi", "emoji", "hangul", "scripts"] = "emoji"
    steps: Annotated[int, Field(ge=1, le=10_000)] = 300
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0


class Watched(NamedTuple):
    """A run: its R@1 in percent, the step at which it was warned of (None: never), its checks."""

    recall: float
    warned: int | None
    rows: list[dict[str, float]]


def train(
    arm: Arm, parts: tuple[Part, Part], *, steps: int, seed: int, norm: bool = False, k: int = 4
) -> Watched:
    """Train a small network from scratch and watch it.

    Args:
        arm: what it is trained with.
        parts: as :func:`classes` returns them.
        steps: number of updates.
        seed: of weights and batches.
        norm: whether the network has batch normalisation.
        k: K, images of each class in a batch.
    """
    (images, labels), test = parts
    torch.manual_seed(seed)
    net = Small(images.shape[1], norm)
    loss, xbm = ContrastiveLoss(arm.lam), None
    if size := round(arm.ratio * len(labels)):
        xbm = XBM(loss, size=size, dim=DIM, start=arm.start, batch_loss=arm.batch_loss)
    optimiser = torch.optim.Adam(net.parameters(), arm.lr)
    diagnosis, rows, warned = Diagnosis(EVERY), [], None
    for step, batch in enumerate(PKSampler(labels, p=BATCH // k, k=k, steps=steps, seed=seed)):
        ids = torch.tensor(batch)
        anchors, y = net(images[ids]), labels[ids]
        value = xbm(anchors, y, ids) if xbm else loss(anchors, y)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        if xbm:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CollapseWarning)
                found = diagnosis(anchors, y, xbm.memory, valid=loss.valid, ids=ids)
            if found:
                rows.append({"step": step, **found.row()})
            if diagnosis.warned and warned is None:
                warned = step
    net.eval()
    with torch.no_grad():
        recall = recall_at_k(net(test.images), test.labels, [1])[1]
    return Watched(100 * recall, warned, rows)


def frame(parameters: Parameters) -> tuple[pd.DataFrame, dict[str, Watched]]:
    """Train the arm that collapses, then the one that does not.

    Returns:
        One row per check: arm, step and what :class:`xbmlib.diagnose.Health` names; and both runs.
    """
    torch.set_num_threads(1)
    parts = classes(parameters.data, parameters.seed)
    runs = {
        name: train(ARMS[name], parts, steps=parameters.steps, seed=parameters.seed)
        for name in (COLLAPSING, HEALTHY)
    }
    rows = [{"arm": name, **row} for name, run in runs.items() for row in run.rows]
    return pd.DataFrame(rows, columns=["arm", "step", *Health._fields]), runs


def outcomes(runs: dict[str, Watched]) -> pd.DataFrame:
    """One row per run: run, R@1 in percent, and the step of the warning or "none"."""
    return pd.DataFrame(
        {
            "run": list(runs),
            "R@1": [run.recall for run in runs.values()],
            "warned at step": [str(run.warned or "none") for run in runs.values()],
        }
    )


def calibration() -> pd.DataFrame:
    """How many runs of each outcome were warned of, among those that did not set the thresholds.

    Returns:
        One row per outcome: outcome, runs, warned; from results/diagnosis.csv.
    """
    data = measured("diagnosis")
    groups = data[data["use"] == "calibration"].groupby("outcome")["warned"]
    return pd.DataFrame({"runs": groups.size(), "warned": groups.sum()}).reset_index()


def closing(runs: dict[str, Watched], calibrated: pd.DataFrame) -> str:
    """What came out, and why, in words.

    Args:
        runs: as returned by :func:`frame`.
        calibrated: as returned by :func:`calibration`.
    """
    parts = [
        f"with {name} R@1 is {run.recall:.1f}% and the diagnosis "
        + ("does not warn" if run.warned is None else f"warns at step {run.warned}")
        for name, run in runs.items()
    ]
    last = {
        name: f"{run.rows[-1]['batch_similarity']:.2f} with {name}"
        for name, run in runs.items()
        if run.rows
    }
    counted = listed(
        [
            f"{row.warned} of {row.runs} of outcome “{row.outcome}”"
            for row in calibrated.itertuples()
        ]
    )
    ends = f" The mean similarity of the batch's negatives ends at {listed(list(last.values()))}."
    return (
        f"Here, {listed(parts)}.{ends if last else ''} Negatives of the batch that become alike "
        "stay above λ, and with them a large part of the memory, which keeps pushing all anchors "
        f"in one direction. Of the runs that did not set the thresholds it warned of {counted}."
    )
