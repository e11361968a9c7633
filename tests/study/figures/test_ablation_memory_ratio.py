"""Tests of the study of the memory ratio."""

import pandas as pd
import pytest

from xbmlib.study.figures import ablation_memory_ratio
from xbmlib.study.figures.ablation_memory_ratio import one_percent


def test_the_memory_ratio_has_seeds_of_its_own():
    """Oracle: 5 at profile full, else 1, or the number that is given."""
    for given, n in (({"profile": "full"}, 5), ({"profile": "full", "seeds": 2}, 2), ({}, 1)):
        found = ablation_memory_ratio.experiments(ablation_memory_ratio.Parameters(**given))
        assert {e.seed for e in found} == set(range(n))


@pytest.mark.parametrize(("gain", "outcome"), [(5.8, "disagrees"), (6.0, "agrees")])
def test_one_percent_of_memory(gain, outcome):
    """Oracle: Table 2: 63.9 to 69.8 at R_M = 0.01, batch 64 on SOP."""
    found = one_percent(pd.Series([gain] * 3), "; here", data="hanzi", seeds=3)
    assert found.outcome == outcome
    assert found.claim == "A memory of 1% of the training set already gives a large gain; here."
