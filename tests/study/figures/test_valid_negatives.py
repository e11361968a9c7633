"""Tests of the verdicts on valid negatives, on a frame made by hand."""

import pandas as pd

from tests.study.figures.frames import SEEDS
from xbmlib.study.figures import valid_negatives


def test_valid_negatives_over_all_iterations_and_the_last():
    """Oracle: by hand: from the memory's start 505 against 10.5, after the decay 900 against 1."""
    counts = {  # step: batch, memory, decays
        0: (500, None, 0), 10: (20, 110, 0), 20: (1, 900, 1)}  # fmt: skip
    rows = [
        {"step": step, "source": source, "negatives": n, "decays": decays, "seed": s,
         "updates": 30, "start": 10}
        for step, (batch, memory, decays) in counts.items()
        for source, n in (("batch", batch), ("memory", memory)) if n is not None
        for s in SEEDS
    ]  # fmt: skip
    parameters = valid_negatives.Parameters(profile="quick")
    every, late = valid_negatives.verdicts(pd.DataFrame(rows), parameters)
    assert every.outcome == "disagrees" and late.outcome == "agrees"
    assert every.ours.startswith("505.0 ± 0.0 (n=3) from the memory, 10.50 ± 0.00")
    assert late.ours.endswith(": 900 ± 0 (n=3) times")
