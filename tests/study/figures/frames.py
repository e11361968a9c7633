"""Frames made by hand that several tests judge."""

import pandas as pd

from xbmlib import paper
from xbmlib.study.figures import losses_with_memory
from xbmlib.study.profiles import DATA

SEEDS = range(3)


def table_1(gain=0.0):
    """A frame of the losses' study that holds the paper's R@1."""
    counterparts = dict(zip(DATA, paper.SETS, strict=True))
    rows = []
    for data, name in counterparts.items():
        measure = "R@1" if name != "VehicleID" else "large R@1"
        for loss in losses_with_memory.LOSSES:
            for arm in ("no memory", "memory (R_M = 0.1)"):
                value = paper.LOSSES[name, loss, arm.split(" (")[0]][measure]
                value += gain if arm != "no memory" and loss == "contrastive" else 0
                rows += [
                    {"data": data, "loss": loss, "arm": arm, "seed": s, "measure": "R@1",
                     "value": value + 0.1 * s, "run": ""}
                    for s in SEEDS
                ]  # fmt: skip
    return pd.DataFrame(rows)
