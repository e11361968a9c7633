"""Tests of what every notebook shares."""

import json

import pandas as pd
import pytest

from xbmlib.storage import StorageError
from xbmlib.study import notebook
from xbmlib.study.figures import ablation_memory_ratio
from xbmlib.study.verdict import Verdict


def test_a_root_that_cannot_be_written_is_refused_with_the_parameters(tmp_path, monkeypatch):
    """Oracle: one line with path and remedy before any work; a plan, no notebook, needs no root."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(notebook, "ROOT", tmp_path / "file" / "root")
    assert notebook.StudyParameters.of({"profile": "smoke"}).profile == "smoke"
    monkeypatch.setattr(notebook, "parameters_of_cells", dict)
    with pytest.raises(StorageError, match="file/root/figures: a file is .*XBM_ROOT"):
        notebook.StudyParameters.of({"profile": "smoke"})
    monkeypatch.setattr(notebook, "ROOT", tmp_path / "missing" / "root")
    assert notebook.StudyParameters.of({"profile": "smoke"}).profile == "smoke"
    assert {p.name for p in (tmp_path / "missing" / "root").iterdir()} == {"figures", "results"}


def test_no_verdict_is_stored_as_none(tmp_path, monkeypatch):
    """Oracle: the file and the table; former verdicts of the notebook are gone."""
    monkeypatch.setattr(notebook, "ROOT", tmp_path)
    parameters = ablation_memory_ratio.Parameters(profile="smoke")
    path = tmp_path / "results" / "verdicts" / "smoke" / "ablation_memory_ratio.json"
    said = dict.fromkeys(("claim", "paper", "ours", "rule", "data"), "words")
    notebook.conclude([Verdict(**said, outcome="agrees", seeds=1)], parameters)
    assert len(json.loads(path.read_text())) == 1
    assert notebook.conclude([], parameters).data.empty
    assert json.loads(path.read_text()) == []
    assert notebook.compare([], parameters).data.empty
    table = path.parents[3] / "figures" / "smoke" / "ablation_memory_ratio_paper.csv"
    assert pd.read_csv(table).empty
