"""The paper's protocol: K = 4, equal updates at every batch size, the same search for both arms.

What the paper does not state for our backbone and data, and the learning rate and margin of each
arm, come from :mod:`xbmlib.study.search_protocol`, which chooses on the validation classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Written by `python -m xbmlib.study.search_protocol`.
CHOSEN_FILE = Path(__file__).with_name("protocol.json")
# The same in both arms. K is the released code's.
SHARED_FIELDS: dict[str, Any] = {"k": 4, "dim": 256, "pooling": "max", "schedule": "cosine"}
# The iteration at which the memory joins (Section 3.3).
START = 1000
RATIOS = (0.0, 1.0)
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


@dataclass(frozen=True)
class Arm:
    """What settings are searched for; ``ratio`` is R_M, 0 for no memory."""

    data: str
    loss: str
    batch: int
    ratio: float
