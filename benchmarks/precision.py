"""What a memory of lower precision costs: the gradient's error, and R@1 of whole runs."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import torch
from torch import Tensor

from benchmarks.losses import TRAINED, Case, case, ours
from benchmarks.measure import Row, row
from xbmlib.losses import ContrastiveLoss
from xbmlib.study.parallel import run_all
from xbmlib.study.profiles import PROFILES, experiment

SEEDS = range(3)
# Largest error of the gradient, relative to its norm.
BARS = {"bfloat16": 0.01, "float16": 0.01, "int8": None}
BY_CHANCE = (
    "of three seeds in each arm, more than 2 standard errors come up by chance in one of nine such "
    "rows (t with 4 degrees of freedom)"
)


def rounded(entries: Tensor, name: str) -> Tensor:
    """Entries rounded to that precision; int8 with one scale per entry."""
    if name != "int8":
        return entries.to(getattr(torch, name)).float()
    scale = entries.abs().amax(1, keepdim=True) / 127
    return (entries / scale).round() * scale


def rows() -> Iterator[Row]:
    """Gradients at the paper's size; then whole runs of the quick profile, R_M = 1, batch 16."""
    data = case(TRAINED)
    wanted = ours(ContrastiveLoss(), data)()
    for name, bar in BARS.items():
        low = Case(rounded(data.entries, name), data.entry_labels, data.batches, data.labels)
        error = float((ours(ContrastiveLoss(), low)() - wanted).norm() / wanted.norm())
        yield row(f"gradient's distance by norm, {name} entries", "fp32's gradient", error, 1.0,
                  sense="<=" if bar else "", bar=bar, unit="of its norm")  # fmt: skip
    e = experiment(PROFILES["quick"], 16, seed=0, ratio=1.0)
    kinds = ("float32", "bfloat16", "float16")
    cases = [e.replace(seed=seed, memory_dtype=kind) for kind in kinds for seed in SEEDS]
    runs = run_all(cases)
    recalls = pd.DataFrame(
        {"kind": r.experiment.memory_dtype, "R@1": 100 * r.recall["R@1"]} for r in runs
    )
    found = recalls.groupby("kind")["R@1"].agg(["mean", "var"])
    for kind in kinds[1:]:
        noise = ((found.loc[kind, "var"] + found.loc["float32", "var"]) / len(SEEDS)) ** 0.5
        mean, reference = found.loc[kind, "mean"], found.loc["float32", "mean"]
        yield row(f"R@1 of a whole run, {kind} memory, mean of {len(SEEDS)} seeds: difference in "
                  "standard errors", "float32 memory", mean, reference,
                  ratio=abs(mean - reference) / noise, sense="<=", bar=2.0, unit="%",
                  reason=BY_CHANCE)  # fmt: skip
