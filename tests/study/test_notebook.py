"""Tests of what every notebook shares."""

import pytest

from xbmlib.storage import StorageError
from xbmlib.study import notebook


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
