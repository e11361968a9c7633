"""How arms, losses and networks are spelt, one way in figures, tables, CSV files and texts."""

from __future__ import annotations

import re

NO_MEMORY, MEMORY = "no memory", "memory"
# The memory of Tables 1 and 3 to 5; the paper does not state its R_M.
UNSTATED = f"{MEMORY} (R_M not stated)"
# Networks as the paper prints them, by our name.
NETWORKS = {"googlenet": "GoogLeNet", "bninception": "BN-Inception", "resnet50": "ResNet50"}


def arm(ratio: float) -> str:
    """An arm by its R_M: "no memory" or such as "memory (R_M = 0.1)"."""
    return f"{MEMORY} (R_M = {ratio:g})" if ratio else NO_MEMORY


def side(arm: str) -> str:
    """An arm without its R_M, "no memory" or "memory": what the two are paired by."""
    return arm.split(" (")[0]


def loss_name(loss: str) -> str:
    """A loss in words: "multi-similarity" of "multi_similarity"."""
    return loss.replace("_", "-")


def network_name(backbone: str) -> str:
    """A backbone as the paper prints it, or by our name where it is none of the paper's."""
    return NETWORKS.get(backbone, backbone)


def label(arm: str) -> str:
    """An arm as a figure spells it: the R of R_M in italics, its value in percent."""
    return re.sub(
        r"R_M( = )?([\d.e-]+)?",
        lambda found: f"$R_M${found[1] or ''}" + (percent(float(found[2])) if found[2] else ""),
        arm,
    )


def percent(ratio: float) -> str:
    """A memory ratio as a figure spells it: "0.1%" of 0.001."""
    return f"{100 * ratio:g}%"
