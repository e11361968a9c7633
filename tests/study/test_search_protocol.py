"""Tests of the protocol's search: two arms alike, and a table that is what the runs measured."""

import json
from collections import Counter

import pandas as pd
import pytest

from xbmlib import paper
from xbmlib.storage import CHECKOUT
from xbmlib.study.profiles import DATA
from xbmlib.study.protocol import AS_PRINTED, FORM, FORMS, SHARED_FIELDS, START
from xbmlib.study.search_protocol import (
    GRIDS,
    SEARCHED,
    Trial,
    arms,
    best,
    next_trials,
    table,
)
from xbmlib.training.experiment import ConfigError

RUNS = CHECKOUT / "results" / "runs"
PAIR, GRID = arms("contrastive", 64, "emoji"), GRIDS[64, "contrastive"]


def staged(prefer):
    """The trials of all stages, where ``prefer`` scores the experiment of a trial."""
    scores, wanted = {}, []
    while (found := next_trials(PAIR, GRID, scores)) != wanted:
        assert found[: len(wanted)] == wanted
        wanted = found
        scores = {trial: prefer(trial.experiment) for trial in wanted}
    return wanted, scores


def rate(e, best):
    """A score that falls with the distance of the learning rate from the best."""
    return -abs(e.lr - best[e.ratio])


def test_both_arms_try_the_same_grid():
    """Oracle: the experiments of the two arms, field by field: R_M alone differs."""
    for (batch, loss), grid in GRIDS.items():
        for data in SEARCHED[batch, loss]:
            trials = next_trials(arms(loss, batch, data), grid, {})
            found = [
                [t.experiment.model_dump() | {"ratio": None} for t in trials if t.arm.ratio == r]
                for r in (0.0, 1.0)
            ]
            assert found[0] == found[1]
            assert len({json.dumps(e) for e in found[0]}) == len(found[0]) >= 4
            assert {e["split"] for e in found[0]} == {"validation"}
            assert {(e["batch"], e["loss"], e["data"]) for e in found[0]} == {(batch, loss, data)}
    assert SEARCHED.keys() == GRIDS.keys() and SEARCHED[16, "contrastive"] == DATA


def test_three_stages_of_equally_many_trials():
    """Oracle: by hand. A best rate inside the grid ends the first stage; one at an edge, in either
    arm, adds a rate beyond it to both. The last stage adds three to each.
    """
    low, middle, high = GRID["lr"]
    cases = [((middle, middle), 6, ()), ((middle, high), 8, (2 * high,)),
             ((low, high), 10, (low / 2, 2 * high))]  # fmt: skip
    for (none, memory), each, beyond in cases:
        wanted, scores = staged(lambda e, b={0.0: none, 1.0: memory}: rate(e, b))
        assert Counter(t.arm for t in wanted) == dict.fromkeys(PAIR, each + 3)
        rates = {t.experiment.lr for t in wanted if t.experiment.lam == 0.5}
        assert rates >= {*GRID["lr"], *beyond}
        last = [t.experiment for t in wanted[-6:]]
        assert {e.ratio for e in last[:3]} == {0.0} and {e.ratio for e in last[3:]} == {1.0}
        assert [(e.init, e.batch_loss) for e in last[3:]] == [
            ("fill", False), ("sample", True), ("sample", False)]  # fmt: skip
        assert {e.lr for e in last[3:]} == {memory}
        assert [e.lam for e in last[:3]] == [0.6, 0.5, 0.5]
        assert [e.lr / none for e in last[1:3]] == pytest.approx([0.5**0.5, 2**0.5], rel=1e-2)
        assert best(PAIR[1], wanted, scores).experiment.lr == memory


def test_what_the_paper_and_its_code_state_is_taken():
    """Oracle: xbmlib.paper's record of the paper's and the released code's settings."""
    released, printed = (paper.SETTINGS[name].stated for name in ("released", "paper"))
    assert SHARED_FIELDS["k"] == released["k"]
    assert START == printed["start"] == released["start"]
    assert released["lam"] in GRID["lam"] and released["lam"] in GRIDS[16, "contrastive"]["lam"]
    assert {name: released[name] for name in FORM} == FORM
    assert {name: printed[name] for name in AS_PRINTED} == AS_PRINTED
    assert len({tuple(form.values()) for form in FORMS.values()}) == 4


def test_the_table_holds_what_the_runs_measured():
    """Oracle: recall.json and config.json of each run, read as plain JSON."""
    stored = pd.read_csv(CHECKOUT / "results" / "search_protocol.csv")
    assert len(stored) > 0
    for row in stored.to_dict("records"):
        final = json.loads((RUNS / row["run"] / "recall.json").read_text())["final"]
        config = json.loads((RUNS / row["run"] / "config.json").read_text())
        assert (row["R@1"], row["MAP@R"]) == pytest.approx(
            (100 * final["R@1"], 100 * final["MAP@R"]), rel=1e-5
        )
        names = set(row) - {"R@1", "MAP@R", "run"}
        tried = {name: row[name] for name in names if not pd.isna(row[name])}
        assert tried == {name: config[name] for name in tried} and len(tried) >= 6
    assert sorted(stored["run"]) == sorted(table()["run"])


def test_a_setting_that_cannot_be_is_refused():
    """Oracle: the experiment's own validation, before anything is trained."""
    with pytest.raises(ConfigError, match="lam=2"):
        _ = Trial.of(PAIR[0], {"lr": 1e-3, "lam": 2.0}).experiment
