"""How the time of a step grows with M, beside a bare product and one read of the entries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
import torch

from benchmarks.losses import TRAINED, case, ours
from benchmarks.measure import Row, against, row, timings
from xbmlib.losses import ContrastiveLoss, MultiSimilarityLoss, TripletLoss

# M at which a step is timed, at D = 128, and the largest M.
SIZES, DIM, LARGEST = [1 << p for p in range(12, 21)], 128, 1 << 22
# The M that the slope is fitted over. In a smaller memory what does not depend on M counts.
FITTED = 1 << 14, 1 << 20
LOSSES = {
    "contrastive": ContrastiveLoss,
    "multi_similarity": MultiSimilarityLoss,
    "triplet": TripletLoss,
}


def table() -> pd.DataFrame:
    """Milliseconds of a step for each M: M, D, loss, ms.

    Beside them the bare product, and one read of the entries (their sum), which no step that
    compares with all of them can undercut.
    """
    found = []
    for size in [*SIZES, LARGEST]:
        data = case(TRAINED, size=size, dim=DIM, classes=size // 5)
        names = LOSSES if size < LARGEST else {"contrastive": ContrastiveLoss}
        steps = {name: ours(make(), data) for name, make in names.items()}
        rounds = 15 if size < 1 << 18 else 5
        bare = partial(torch.mm, data.batches[0], data.entries.T)
        t = against("bare", timings(rounds, bare=bare, read=data.entries.sum, **steps))
        found += [{"M": size, "D": DIM, "loss": name, "ms": ms} for name, ms in t.items()]
    return pd.DataFrame(found)


def slopes(times: pd.DataFrame) -> Iterator[Row]:
    """The slope of log time over log M of each loss, between the two M of FITTED.

    Args:
        times: of :func:`table`.
    """
    first, last = FITTED
    for name in LOSSES:
        part = times[(times["loss"] == name) & times["M"].between(first, last)]
        slope = float(np.polyfit(np.log(part["M"]), np.log(part["ms"]), 1)[0])
        powers = " to ".join(f"2^{size.bit_length() - 1}" for size in FITTED)
        what = f"growth with M, {name}: slope from {powers}"
        _, constant = np.polyfit(part["M"], part["ms"], 1, w=1 / part["ms"])
        reason = (
            f"a straight line through the times has {constant:.2g} ms that do not grow with M, "
            f"{100 * constant / part['ms'].min():.0f}% of the step at M = {first:,}"
        )
        for sense, bar in ((">=", 0.95), ("<=", 1.05)):
            yield row(what, "linear", slope, 1.0, sense=sense, bar=bar, unit="log-log",
                      reason=reason)  # fmt: skip
