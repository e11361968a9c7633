"""Tests of the paper's protocol: what both arms share, and where the settings of each are from."""

import pandas as pd
import pytest

from xbmlib import paper
from xbmlib.datasets.published import VARIABLE
from xbmlib.storage import CHECKOUT, StorageError
from xbmlib.study import protocol
from xbmlib.study.profiles import PROFILES
from xbmlib.study.protocol import Arm, experiment, settings

FULL = PROFILES["full"]
# What an arm has by its search or by the definition of memory; all else is equal.
OWN = {"ratio", "lr", "lam", "init", "batch_loss"}


def test_settings_are_those_of_the_best_trial():
    """Oracle: the row of results/search_protocol.csv with the highest MAP@R, by plain pandas."""
    table = pd.read_csv(CHECKOUT / "results" / "search_protocol.csv")
    arms = protocol.chosen_settings()
    assert arms
    for arm, chosen in arms.items():
        rows = table
        for name, value in vars(arm).items():
            rows = rows[rows[name] == value]
        top = rows.loc[rows["MAP@R"].idxmax()]
        assert {name: top[name] for name in chosen} == chosen and {"lr"} < set(chosen)


@pytest.mark.parametrize("batch", [8, 16])
def test_both_arms_are_alike(batch):
    """Oracle: the experiments of both arms, field by field; the released code's K, and its
    iteration at which the memory joins.
    """
    none, memory = (
        experiment(FULL, batch, seed=1, ratio=ratio).model_dump() for ratio in (0.0, 0.1)
    )
    assert {name for name in none if none[name] != memory[name]} <= OWN
    released = paper.SETTINGS["released"].stated
    assert (none["k"], none["start"]) == (released["k"], released["start"])
    assert (none["steps"], none["batch"], none["seed"]) == (12_000, batch, 1)
    assert memory["ratio"] == 0.1


def test_the_memory_joins_earlier_in_a_short_run():
    """Oracle: by hand: a sixth of 30 and of 2,000 updates, which is less than 1,000."""
    starts = {
        name: experiment(PROFILES[name], 16, seed=0, ratio=1.0).start for name in ("smoke", "quick")
    }
    assert starts == {"smoke": 5, "quick": 333}


def test_an_arm_without_a_search_takes_the_nearest(monkeypatch):
    """Oracle: by hand: of two batch sizes, and of one data set at batch 64; nothing takes the place
    of a search that has not finished.
    """
    names = {
        Arm("hanzi", "contrastive", 16, 0.0): "none 16",
        Arm("hanzi", "contrastive", 16, 1.0): "memory 16",
        Arm("emoji", "contrastive", 64, 1.0): "memory 64",
        Arm("emoji", "triplet", 64, 1.0): "triplet",
    }
    monkeypatch.setattr(protocol, "chosen_settings", lambda: names)
    assert settings(Arm("hanzi", "contrastive", 8, 0.0)) == "none 16"
    assert settings(Arm("hanzi", "contrastive", 16, 0.01)) == "memory 16"
    assert settings(Arm("hanzi", "contrastive", 32, 0.3)) == "memory 64"
    assert settings(Arm("hangul", "triplet", 16, 1.0)) == "triplet"
    for open_, at in (("emoji", 16), ("hanzi", 256)):
        with pytest.raises(StorageError, match=r"protocol.json: .*contrastive at batch.*_protocol"):
            settings(Arm(open_, "contrastive", at, 0.0))


def test_a_setting_of_the_paper_is_taken_as_it_is(monkeypatch, tmp_path):
    """Oracle: the paper profile's own λ, updates and net."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    fields = paper.SETTINGS["paper"].fields
    found = experiment(PROFILES["paper"], 16, seed=0, ratio=0.5)
    assert (found.lam, found.steps, found.backbone) == (
        fields["lam"], fields["steps"], fields["backbone"])  # fmt: skip
