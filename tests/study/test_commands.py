"""Tests of the study's commands, given what they cannot use: one line, before any work."""

import json
import shutil
import sys

import pytest

from xbmlib.datasets.published import VARIABLE
from xbmlib.report import site
from xbmlib.study import __main__ as study
from xbmlib.study import (
    profiles,
    protocol,
    refusal,
    search,
    search_protocol,
    summary,
    sweep,
    verify,
)
from xbmlib.study.figures import diagnosis, pretrain, xbm_in_one_page
from xbmlib.study.notebook import ParameterError


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    """An empty root, no data set of the paper, and no training."""
    monkeypatch.delenv(VARIABLE, raising=False)
    for module in (study, summary, search, search_protocol):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    for module in (study, search, search_protocol, verify):
        monkeypatch.setattr(module, "run_all", lambda experiments, *_, **__: list(experiments))


def line_of(module, *arguments):
    """The line that a command ends with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["command", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            module.main()
    assert isinstance(stop.value.code, str) and len(stop.value.code.splitlines()) == 1
    return stop.value.code


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["paper"], "data_root=None: profile='paper' runs on SOP, In-shop, VehicleID: give"),
        (["released", "--data", ""], "data_root='': no such folder"),
        (["paper", "--data", "/no/such"], "data_root='/no/such': no such folder"),
        (["full", "--data", "/no/such"], "data_root='/no/such': no such folder"),
    ],
)
def test_the_study_without_its_data(arguments, line):
    """Oracle: the parameter, its value and the remedy."""
    assert line_of(study, *arguments).startswith(line)


@pytest.mark.parametrize(
    ("module", "name", "read"),
    [
        (protocol, "CHOSEN_FILE", protocol.chosen_settings),
        (profiles, "TUNED_FILE", profiles.tuned_settings),
    ],
)
def test_the_study_without_its_settings(module, name, read, tmp_path, monkeypatch):
    """Oracle: the path of the missing file."""
    monkeypatch.setattr(module, name, tmp_path / "missing.json")
    read.cache_clear()
    assert line_of(study, "smoke").startswith(f"{tmp_path}/missing.json: cannot be read")
    read.cache_clear()


@pytest.mark.parametrize("module", [study, search, search_protocol, summary])
def test_a_root_that_is_a_file(module, tmp_path, monkeypatch):
    """Oracle: the path, before anything is trained."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(module, "ROOT", tmp_path / "file")
    assert line_of(module).startswith(f"{tmp_path}/file")


@pytest.mark.parametrize("module", [study, search, search_protocol, summary, verify])
@pytest.mark.parametrize("argument", ["--profle=smoke", "huge"])
def test_an_unknown_argument(module, argument, monkeypatch, capsys):
    """Oracle: argparse's status, and the argument in its words."""
    monkeypatch.setattr(sys, "argv", ["command", argument])
    with pytest.raises(SystemExit) as stop:
        module.main()
    assert stop.value.code == 2 and argument in capsys.readouterr().err


@pytest.mark.parametrize("readme", ["# My own results\n", None])
def test_a_summary_beside_another_readme(readme, tmp_path):
    """Oracle: the page's path and the remedy; the page is left as it was."""
    path = tmp_path / "README.md"
    said = dict.fromkeys(("claim", "paper", "ours", "rule", "data"), "words")
    stored = tmp_path / "results" / "verdicts" / "quick" / "cost.json"
    stored.parent.mkdir(parents=True)
    stored.write_text(json.dumps([said | {"outcome": "agrees", "seeds": 1}]))
    if readme is None:  # a checkout's, without its docs/
        readme = (site.SOURCES.parent / "README.md").read_text(encoding="utf-8")
        path = tmp_path / "docs" / "results.md"
        for name in ("diagnosis", "search_protocol", "storm"):
            shutil.copy(site.SOURCES.parent / "results" / f"{name}.csv", tmp_path / "results")
    (tmp_path / "README.md").write_text(readme, encoding="utf-8")
    line = line_of(summary)
    assert line.startswith(f"{path}: cannot be rewritten") and "XBM_ROOT" in line
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == readme
    assert not (tmp_path / "docs").exists()


@pytest.mark.parametrize("minutes", ["nan", "inf", "-1", "0"])
def test_no_time_to_verify(minutes):
    """Oracle: the value and the remedy."""
    assert line_of(verify, "--minutes", minutes) == (
        f"--minutes {float(minutes):g}: give a number above 0"
    )


@pytest.mark.parametrize("run", [3, None, [], "x"])
def test_a_run_of_a_plan_that_is_no_experiment(run, tmp_path):
    """Oracle: the run's id and the command that writes a plan."""
    (tmp_path / "plan.json").write_text(json.dumps({"runs": {"a": run}, "checkpoint_steps": 1}))
    line = line_of(sweep, "train", tmp_path / "plan.json", "a")
    assert line == f"run a of the plan is no experiment; {sweep.REMEDY}"


@pytest.mark.parametrize("name", ["a" * 300, "folder", "file/plan.json"])
def test_a_plan_where_none_can_be_written(name, tmp_path, monkeypatch):
    """Oracle: the path; nothing is planned but what a profile of no notebook needs."""
    monkeypatch.setattr(sweep, "plan", lambda *_: {"runs": {}})
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    assert line_of(sweep, "plan", tmp_path / name).startswith(f"{tmp_path / name}: ")


def test_no_verdicts_to_print(tmp_path):
    """Oracle: the folder, the profile and the remedy; an empty line before."""
    for command in (["verdicts", "smoke"], ["verdicts", "paper"]):
        line = line_of(sweep, *command)
        assert line.startswith(f"{tmp_path}/results/verdicts: no verdicts of {command[1]};")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"cells": 3}', "\0"])
def test_a_report_of_a_damaged_notebook(text, tmp_path):
    """Oracle: the notebook's path and the remedy."""
    (path := tmp_path / "cost.ipynb").write_text(text)
    with pytest.raises(site.ReportError) as caught:
        site._check(path, "quick")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path} ") and line.endswith("run python -m xbmlib.study quick")


@pytest.mark.parametrize("kind", [diagnosis.Parameters, xbm_in_one_page.Parameters])
@pytest.mark.parametrize("seed", [-1, 1 << 63, 1 << 70])
def test_a_seed_that_torch_does_not_take(kind, seed):
    """Oracle: the parameter and its value."""
    with pytest.raises(ParameterError, match=rf"^seed={seed}: input should be (greater|less)"):
        kind.of({"seed": seed})


def test_a_smoke_run_does_not_replace_the_bundled_weights():
    """Oracle: the parameter; those of the whole run do."""
    with pytest.raises(ParameterError, match=r'^write=True: only .* profile="full"'):
        pretrain.Parameters.of({"profile": "smoke", "write": True})
    assert pretrain.Parameters.of({"profile": "full", "write": True}).write


def test_every_error_of_the_study_s_own_is_a_refusal():
    """Oracle: an error of each kind; any other passes, with its traceback."""
    for kind in refusal.REFUSALS:
        with pytest.raises(SystemExit, match=r"^why$"), refusal.as_command():
            raise kind("why")
    with pytest.raises(KeyError), refusal.as_command():
        raise KeyError("a defect")
