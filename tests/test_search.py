"""Tests that the study's settings are what the search found."""

import pandas as pd
import pytest

from xbmlib.runs import ROOT
from xbmlib.study.profiles import TUNED
from xbmlib.study.search import TRIALS, trials


@pytest.mark.parametrize("arm", TUNED, ids=str)
def test_tuned_settings_are_the_best_of_the_search(arm):
    """Oracle: the recorded table; the ratio is what the study varies."""
    table = pd.read_csv(ROOT / "results" / "search.csv")
    rows = table[(table["arm"] == arm[0]) & (table["batch"] == arm[1])]
    best = rows.loc[rows["R@1"].idxmax()]
    assert len(rows) == TRIALS[arm[1]]
    for name, value in TUNED[arm].items():
        assert best[name] == value, name


@pytest.mark.parametrize("batch", TRIALS)
def test_both_arms_try_the_same_shared_settings(batch):
    """Oracle: the trials of the two arms, side by side."""
    for plain, memory in zip(trials("none", batch), trials("memory", batch), strict=True):
        assert plain == {name: memory[name] for name in plain}
