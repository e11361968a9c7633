"""Tests of the verdicts on Lemma 1, on a frame made by hand."""

import pandas as pd

from xbmlib.study.figures import lemma
from xbmlib.study.figures.drift_curves import Parameters


def test_lemma_1_in_each_network_and_its_embedding_layer():
    """Oracle: by hand: 40 ± 1% and 70 ± 1% of the pairs below 1, against half. The claim is of the
    paper's network and all parameters; the others are follow-ups.
    """
    rows = [
        {"backbone": name, "data": "hanzi", "seed": s, "steps": steps, "C": 30.0 + s, "C_head": 0.5,
         "below_one": 0.4 + s / 100, "below_one_head": 0.7 + s / 100, "delta": 10}
        for name, steps in (("compact", 3000), ("googlenet", 600))
        for s in (-1, 0, 1)
    ]  # fmt: skip
    data = pd.DataFrame(rows)
    found = lemma.verdicts(data, Parameters(profile="full"))
    assert [v.outcome for v in found] == ["disagrees", "agrees"] * 2
    assert [v.name for v in found] == ["", "", "gradient_error_bounded", ""]
    assert found[2].ours.startswith("all parameters 40.0 ± 1.0% (n=3)")
    assert "3,000 steps" in found[0].data and "600 steps" in found[2].data
    assert lemma.table(data)["C"].tolist() == ["30.00 ± 1.00 (n=3)", "0.50 ± 0.00 (n=3)"] * 2
    # Without that network the claim is open, not lost.
    first, *_ = lemma.verdicts(data[data["backbone"] == "compact"], Parameters())
    assert (first.name, first.outcome) == ("gradient_error_bounded", "not testable here")
