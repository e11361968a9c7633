"""Tests of the verdicts on Lemma 1, on a frame made by hand."""

import pandas as pd

from tests.study.figures.frames import SEEDS
from xbmlib.study.figures import lemma
from xbmlib.study.figures.drift_curves import Parameters


def test_lemma_1_in_each_network_and_its_embedding_layer():
    """Oracle: by hand: 0.4 and 0.6 of the pairs below 1 in the rows of a seed are half, which is
    not more than half; 0.6 and 0.8 are more.
    """
    rows = [
        {"backbone": name, "data": "hanzi", "seed": s, "steps": steps, "C": 30.0 + s, "C_head": 0.5,
         "below_one": 0.5 + less, "below_one_head": 0.7 + less}
        for name, steps in (("compact", 3000), ("googlenet", 600))
        for s in SEEDS for less in (-0.1, 0.1)
    ]  # fmt: skip
    data = pd.DataFrame(rows)
    found = lemma.verdicts(data, Parameters(profile="full"))
    assert [v.outcome for v in found] == ["disagrees", "agrees"] * 2
    assert [v.claim.split("here for ")[1] for v in found] == [
        f"{theta}, {name} network."
        for name in ("compact", "googlenet")
        for theta in ("all parameters", "those of the embedding layer alone")
    ]
    assert "3,000 steps" in found[0].data and "600 steps" in found[2].data
    assert lemma.table(data)["C"].tolist() == ["31.00 ± 1.00 (n=3)", "0.50 ± 0.00 (n=3)"] * 2
