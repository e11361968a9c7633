"""Tests of the protocol's search: two arms alike, and a table that is what the runs measured."""

import json
from itertools import groupby

import pandas as pd
import pytest

from xbmlib import paper
from xbmlib.storage import CHECKOUT
from xbmlib.study.profiles import DATA
from xbmlib.study.search_protocol import MEMORY_FIELDS, SHARED_FIELDS, Trial, table, trials
from xbmlib.training.experiment import ConfigError

RUNS = CHECKOUT / "results" / "runs"


def test_both_arms_try_the_same():
    """Oracle: the experiments of the two arms, field by field: R_M alone differs."""
    by_arm = {
        ratio: [t.experiment.model_dump() | {"ratio": None} for t in found]
        for ratio, found in groupby(sorted(trials(), key=lambda t: t.ratio), lambda t: t.ratio)
    }
    assert by_arm[0.0] == by_arm[1.0]
    assert len(by_arm[0.0]) == len({json.dumps(e) for e in by_arm[0.0]})
    assert {e["data"] for e in by_arm[0.0]} == set(DATA)
    assert {e["split"] for e in by_arm[0.0]} == {"validation"}


def test_what_the_paper_and_its_code_state_is_taken():
    """Oracle: xbmlib.paper's record of the paper's and the released code's settings."""
    released = paper.SETTINGS["released"].stated
    assert SHARED_FIELDS["batch"] == released["batch"] and SHARED_FIELDS["k"] == released["k"]
    assert MEMORY_FIELDS["start"] == paper.SETTINGS["paper"].stated["start"] == released["start"]
    assert {t.settings["lam"] for t in trials() if t.loss == "contrastive"} > {released["lam"]}


def test_the_table_holds_what_the_runs_measured():
    """Oracle: recall.json and config.json of each run, read as plain JSON."""
    stored = pd.read_csv(CHECKOUT / "results" / "search_protocol.csv")
    assert 0 < len(stored) <= len(trials())
    for row in stored.itertuples(index=False):
        final = json.loads((RUNS / row.run / "recall.json").read_text())["final"]
        config = json.loads((RUNS / row.run / "config.json").read_text())
        # By position: the columns' names are no identifiers.
        assert row[-3:-1] == pytest.approx((100 * final["R@1"], 100 * final["MAP@R"]), rel=1e-5)
        for name in ("data", "loss", "ratio", "lr", "lam"):
            assert config[name] == getattr(row, name)
    assert sorted(stored["run"]) == sorted(table()["run"])


def test_a_setting_that_cannot_be_is_refused():
    """Oracle: the experiment's own validation, before anything is trained."""
    with pytest.raises(ConfigError, match="lam=2"):
        _ = Trial("hanzi", "contrastive", 0.0, {"lr": 1e-3, "lam": 2.0}).experiment
