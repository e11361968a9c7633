"""Tests that the study's settings are those of the search, and that it treats both arms alike."""

import pandas as pd
import pytest

from xbmlib.storage import ROOT
from xbmlib.study.profiles import DATA, tuned_settings
from xbmlib.study.search import AGAIN, ARMS, RANKS, SPACES, trials

TUNED = tuned_settings()


def recorded():
    """Trials of results/search.csv by the group in which they compete."""
    table = pd.read_csv(ROOT / "results" / "search.csv")
    return dict(list(table.groupby(["data", "space", "arm", "batch"])))


@pytest.mark.parametrize("arm", TUNED, ids=str)
def test_tuned_settings_are_the_best_of_the_search(arm):
    """Oracle: the recorded table; each of the settings, in its order."""
    rows = recorded()[arm].sort_values("R@1", ascending=False)
    assert len(rows) == (SPACES[arm[1]].trials[arm[3]] if arm[0] == DATA[0] else RANKS)
    assert len(TUNED[arm]) == RANKS
    for settings, (_, row) in zip(TUNED[arm], rows.iterrows(), strict=False):
        for name, value in settings.items():
            assert row[name] == value, name


def test_every_arm_that_was_searched_has_settings():
    """Oracle: the spaces, and those searched on the other data sets."""
    first = {(DATA[0], n, arm, b) for n, s in SPACES.items() for b in s.trials for arm in ARMS}
    again = {(d, name, arm, batch) for d in DATA[1:] for name, batch in AGAIN for arm in ARMS}
    assert TUNED.keys() == first | again == recorded().keys()


@pytest.mark.parametrize("data", DATA[1:])
def test_other_data_sets_try_the_best_of_the_first(data):
    """Oracle: the settings of the first data set's best trials, whatever their order there."""
    for name, batch in AGAIN:
        for arm in ARMS:
            found, best = TUNED[data, name, arm, batch], TUNED[DATA[0], name, arm, batch]
            assert sorted(map(str, found)) == sorted(map(str, best))


@pytest.mark.parametrize(
    ("space", "batch"), [(name, batch) for name, s in SPACES.items() for batch in s.trials]
)
def test_both_arms_try_the_same_shared_settings(space, batch):
    """Oracle: the trials of the two arms, side by side."""
    arms = (trials(space, arm, batch) for arm in ARMS)
    for none, memory in zip(*arms, strict=True):
        assert none == {name: memory[name] for name in none}
        assert all(none[name] in values for name, values in SPACES[space].shared.items())


def test_shuffled_batches_with_memory_choose_what_pk_batches_choose():
    """Oracle: the recorded winners: Fig. 6 may give both the same settings."""
    pk, shuffled = (TUNED[DATA[0], space, "memory", 64][0] for space in ("free", "shuffle"))
    assert shuffled == pk | {"sampler": "shuffle"}
