"""Tests of the summary of verdicts, and of the jobs of a sweep, given what they cannot use."""

import json

import pandas as pd
import pytest

from xbmlib.paper.claims import CLAIMS
from xbmlib.study import summary, sweep
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import identify


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty folder in place of the checkout's results."""
    monkeypatch.setattr(summary, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["summary"])
    return tmp_path


def one_line(call, *arguments):
    """The line that a command ends with."""
    with pytest.raises(SystemExit) as stop:
        call(*arguments)
    assert isinstance(stop.value.code, str) and len(stop.value.code.splitlines()) == 1
    return stop.value.code


def test_an_empty_root_has_no_summary(root):
    """Oracle: one line with the folder, the profiles and the remedy; nothing is written."""
    line = one_line(summary.main)
    assert line.startswith(f"{root}/results/verdicts: no verdicts of quick, full, benchmarks;")
    assert "XBM_ROOT" in line and not list(root.iterdir())


VERDICT = {"claim": "c", "paper": "p", "ours": "o", "rule": "r", "outcome": "agrees",
           "data": "d", "seeds": 1}  # fmt: skip
CLAIM = VERDICT | {"name": "saturation", "p": 0.01, "error": "e", "precision": "m"}


def stored(root, text, profile="quick", notebook="cost"):
    """The verdicts of one notebook."""
    path = root / "results" / "verdicts" / profile / f"{notebook}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_claims_and_followups_are_the_stored_verdicts(root):
    """Oracle: the verdicts that were stored, of the last profile that has any: a row for each claim
    of the paper, measured or not, and for the question that is none. Of two tested claims, Holm
    doubles the smaller p and leaves the larger. No README is needed.
    """
    stored(root, json.dumps([VERDICT | {"ours": "old"}]))
    other = CLAIM | {"name": "drift_small", "p": 0.04}
    stored(root, json.dumps([CLAIM, VERDICT, other]), "full")
    # As an earlier release may have left them.
    stored(root, json.dumps([CLAIM | {"ours": "old"}]), "full", "no_notebook_of_this_name")
    summary.main()
    head, row = (root / "results" / "followups.csv").read_text().splitlines()
    assert head == "notebook,profile,claim,paper,ours,outcome,data,seeds,rule"
    assert row == "cost,full,c,p,o,agrees,d,1,r"
    table = pd.read_csv(root / "results" / "claims.csv").set_index("name")
    assert list(table.index) == [claim.name for claim in CLAIMS]
    assert table.loc["saturation", ["ours", "p", "p_holm", "error"]].tolist() == [
        "o", 0.01, 0.02, "e"]  # fmt: skip
    assert table.loc["drift_small", "p_holm"] == 0.04
    rest = table.drop(["saturation", "drift_small"])
    assert set(rest["outcome"]) == {"not testable here"} and rest["p_holm"].isna().all()
    assert set(rest["ours"]) == {"not measured here"}
    # What no notebook has judged has no unit of ours: not "points" of time.
    assert rest.loc["little_extra_cost", "paper"].startswith("time: 34 percent (Section 4.3")


def test_no_verdict_of_a_later_profile_leaves_the_former(root):
    """Oracle: by hand: the last of the profiles that has any verdict is quick."""
    stored(root, json.dumps([CLAIM]))
    stored(root, "[]", "full")
    table = summary.claims().set_index("name")
    assert table.loc["saturation", ["profile", "outcome"]].tolist() == ["quick", "agrees"]
    stored(root, "[]")
    assert one_line(summary.main).startswith(f"{root}/results/verdicts: no verdicts of quick")


@pytest.mark.parametrize("text", ["", "{", "3", '[{"claim": 1}]', "[" * 99_999])
def test_damaged_verdicts_are_named(root, text):
    """Oracle: the file, and its notebook as the remedy."""
    path = stored(root, text)
    line = one_line(summary.main)
    assert line.startswith(f"{path}: cannot be read as verdicts (")
    assert line.endswith("execute cost.ipynb again")


def test_a_run_that_no_plan_has(tmp_path):
    """Oracle: the id; and the one that was meant, one digit apart."""
    e = Experiment(split="smoke", steps=2)
    id = identify(e)
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"runs": {id: e.model_dump()}, "checkpoint_steps": 1}))
    other = ("0" if id[0] != "0" else "1") + id[1:]
    assert one_line(sweep.main, ["train", str(plan), other]) == (
        f"{other}: none of the 1 runs of the plan; did you mean {id}?"
    )


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{}", '{"runs": {}}', '{"runs": [], "checkpoint_steps": 1}']
)
def test_a_file_that_is_no_plan(tmp_path, text):
    """Oracle: the path and the remedy."""
    plan = tmp_path / "plan.json"
    if text is not None:
        plan.write_text(text)
    line = one_line(sweep.main, ["train", str(plan), "0" * 16])
    assert line.startswith(f"{plan}: ") and line.endswith("xbmlib.study.sweep plan")


def test_a_plan_in_place_of_a_folder(tmp_path):
    """Oracle: the path; nothing is planned."""
    assert one_line(sweep.main, ["plan", str(tmp_path), "--profile=smoke"]) == (
        f"{tmp_path}: a folder; give the path of a JSON file to write"
    )


def test_a_plan_that_cannot_be_written(tmp_path, monkeypatch):
    """Oracle: the path, and what stands in its way."""
    monkeypatch.setattr(sweep, "plan", lambda profile, notebooks: {"runs": {}})
    (tmp_path / "file").write_text("")
    line = one_line(sweep.main, ["plan", str(tmp_path / "file" / "plan.json"), "--profile=smoke"])
    assert line.startswith(f"{tmp_path}/file/plan.json: a file is where a folder belongs")
