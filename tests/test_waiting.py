"""Tests of what is measured of a person's waiting; no time of the study itself is judged here."""

import nbformat
import pytest

from benchmarks import waiting
from xbmlib.study.execution import SOURCES
from xbmlib.study.plan import STUDIES
from xbmlib.training.store import RunStore


def test_imports_stand_apart():
    """Oracle: by hand."""
    source = "import a\nfrom b import (\n    c,\n    d,\n)\n\nx = c(a)\ny = x + d"
    assert waiting.apart(source) == ("import a\nfrom b import c, d", "x = c(a)\ny = x + d")


@pytest.mark.parametrize("name", STUDIES)
def test_the_first_cell_of_a_study_ends_with_its_frame(name):
    """Oracle: the notebook: parameters, imports of xbmlib alone, and a frame."""
    parameters, imports, rest = (
        cell.source for cell in waiting.opening(SOURCES / f"{name}.ipynb").cells
    )
    assert parameters.startswith("profile = ") and "import" not in rest
    assert "from xbmlib.study import" in imports and "study.frame(" in rest


def test_seconds_of_each_part_in_a_kernel(tmp_path):
    """Oracle: what the cell sleeps, after its imports."""
    cells = [
        nbformat.v4.new_markdown_cell("A title."),
        nbformat.v4.new_code_cell("rest = 0.5"),
        nbformat.v4.new_code_cell("from time import sleep\nsleep(rest)"),
        nbformat.v4.new_code_cell("raise ValueError('not of the first frame')"),
    ]
    path = tmp_path / "notebook.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    imports, frame = waiting.in_a_kernel(path)
    assert 0 <= imports < frame and 0.5 <= frame < 5


def test_the_first_kernel_does_not_count(monkeypatch):
    """Oracle: by hand: the medians of three kernels after the first, and a limit of 3 s."""
    times = iter([(9.0, 9.0), (1.0, 1.5), (1.2, 0.5), (2.0, 0.6)])
    monkeypatch.setattr(waiting, "in_a_kernel", lambda path: next(times))
    imports, frame, whole = waiting.first_frame()
    assert (imports["ours"], frame["ours"], whole["ours"]) == (1.2, 0.6, 2.5)
    assert (whole["reference"], whole["bar"], whole["holds"]) == (3, 1, True)


def test_a_new_clone_is_set_up(monkeypatch):
    """Oracle: seconds by hand; what is called, in its order."""
    called, spent = [], iter([2.0, 700.0])
    monkeypatch.setattr(waiting, "duration", lambda call: called.append(call) or next(spent))
    clone, made = waiting.set_up()
    assert [call.args[0][:2] for call in called] == [["git", "clone"], ["make", "--silent"]]
    assert called[1].keywords["cwd"] == called[0].args[0][-1]
    assert (clone["ours"], made["ours"], made["holds"]) == (2, 700, False)
    assert "downloading" in made["reason"]


def test_commands_against_their_limits(monkeypatch):
    """Oracle: seconds by hand; `make report` reproduces first."""
    spent = {"xbmlib.study": 300.0, "xbmlib.report": 60.0}
    monkeypatch.setattr(waiting, "command", lambda module, root: spent[module])
    reproduce, report = waiting.commands()
    assert (reproduce["ours"], reproduce["reference"], reproduce["holds"]) == (300, 240, False)
    assert (report["ours"], report["ratio"], report["holds"]) == (360, 0.75, True)


def test_what_is_stored_is_read_and_left_alone(monkeypatch, tmp_path):
    """Oracle: the files of the true root, before and after all is written anew in the other."""
    true = tmp_path / "results"
    files = ("runs/a/recall.json", "search.csv", "notebooks/full/cost.ipynb", "verdicts/a.json")
    for name in files:
        (true / name).parent.mkdir(parents=True, exist_ok=True)
        (true / name).write_text("stored")
    monkeypatch.setattr(waiting, "ROOT", tmp_path)
    with waiting.stored() as root:
        results = root / "results"
        assert not (results / "notebooks").exists()
        assert (results / "runs" / "a" / "recall.json").read_text() == "stored"
        (results / "verdicts" / "a.json").write_text("new")
        (results / "search.csv").unlink()
    assert not root.exists()
    assert all((true / name).read_text() == "stored" for name in files)


def test_nothing_is_trained(monkeypatch, tmp_path):
    """Oracle: the message, by hand: one of two runs is stored."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "recall.json").touch()
    monkeypatch.setattr(waiting, "plan", lambda profile: {"runs": {"a": {}, "b": {}}})
    monkeypatch.setattr(waiting, "RunStore", lambda: RunStore(tmp_path))
    with pytest.raises(SystemExit) as stop:
        waiting.require_stored()
    assert stop.value.code == f"runs not in {tmp_path}: 1; make reproduce first"
