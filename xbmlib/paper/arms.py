"""The two arms of every comparison, spelt one way in figures, tables, CSV files and texts."""

from __future__ import annotations

NO_MEMORY, MEMORY = "no memory", "memory"
# The arms of Tables 1 and 3 to 5 as they are printed there; of which R_M, the paper does not say.
PRINTED = {"none": NO_MEMORY, "w/ M": f"{MEMORY} (R_M not stated)"}


def arm(ratio: float) -> str:
    """An arm by its R_M: "no memory" or such as "memory (R_M = 0.1)"."""
    return f"{MEMORY} (R_M = {ratio:g})" if ratio else NO_MEMORY


def side(arm: str) -> str:
    """An arm without its R_M, "no memory" or "memory": what the two are paired by."""
    return arm.split(" (")[0]


def label(arm: str) -> str:
    """An arm as the legend of a figure spells it, the R of R_M in italics."""
    return arm.replace("R_M", "$R_M$")
