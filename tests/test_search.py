"""Tests that the study's settings are what the search found."""

import pandas as pd
import pytest

from xbmlib.runs import ROOT
from xbmlib.study.profiles import NEXT_BASELINES, TUNED
from xbmlib.study.search import SPACES, trials


@pytest.mark.parametrize("arm", TUNED, ids=str)
def test_tuned_settings_are_the_best_of_the_search(arm):
    """Oracle: the recorded table; the ratio is what the study varies."""
    table = pd.read_csv(ROOT / "results" / "search.csv")
    rows = table[(table[["space", "arm", "batch"]] == list(arm)).all(axis=1)]
    best = rows.loc[rows["R@1"].idxmax()]
    assert len(rows) == SPACES[arm[0]].trials[arm[2]]
    for name, value in TUNED[arm].items():
        assert best[name] == value, name


def test_next_baselines_are_the_next_of_the_search():
    """Oracle: the recorded table, its second and third rows of that arm."""
    table = pd.read_csv(ROOT / "results" / "search.csv")
    rows = table[(table["space"] == "K=4") & (table["arm"] == "none")]
    rows = rows.sort_values("R@1", ascending=False).iloc[1:]
    for settings, (_, row) in zip(NEXT_BASELINES, rows.iterrows(), strict=False):
        assert all(row[name] == value for name, value in settings.items())


@pytest.mark.parametrize(
    ("space", "batch"), [(name, batch) for name, s in SPACES.items() for batch in s.trials]
)
def test_both_arms_try_the_same_shared_settings(space, batch):
    """Oracle: the trials of the two arms, side by side."""
    arms = (trials(space, arm, batch) for arm in ("none", "memory"))
    for plain, memory in zip(*arms, strict=True):
        assert plain == {name: memory[name] for name in plain}
        assert all(plain[name] in values for name, values in SPACES[space].shared.items())
