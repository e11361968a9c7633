"""Tests of the method in plain code: it runs, and the library gives the same."""

import ast
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from tests.kernels import papermill
from tests.study.outputs import assert_shown, complaints

NOTEBOOK = Path(__file__).resolve().parents[3] / "notebooks" / "xbm_in_one_page.ipynb"
STEPS, START = 60, 50


def execute(root, source=NOTEBOOK):
    """Execute a notebook for a few steps of the memory."""
    out = root / "out.ipynb"
    return papermill(source, out, root, "-p", "steps", str(STEPS)), out


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The root of its files, and the notebook with its outputs."""
    root = tmp_path_factory.mktemp("root")
    done, out = execute(root)
    assert done.returncode == 0, done.stderr
    return root, nbformat.read(out, 4)


def plain():
    """The cell with queue, loss and loop."""
    (cell,) = [c for c in nbformat.read(NOTEBOOK, 4).cells if "class Queue" in c.source]
    return cell.source


def test_plain_code_alone():
    """Oracle: its syntax tree: no import, some 60 lines, and no name of the library's."""
    code = plain()
    assert not [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert not any(name in code for name in ("xbm", "XBM", "ContrastiveLoss", "study"))
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 66


def test_the_library_gives_the_same(executed):
    """Oracle: the plain code: the value that is minimised at each step; another with no memory."""
    root, _ = executed
    data = pd.read_csv(root / "figures" / "benchmarks" / f"xbm_in_one_page_steps={STEPS}.csv")
    runs = {name: part.reset_index() for name, part in data.groupby("run", sort=False)}
    no_memory, memory, library = (part["minimised"] for part in runs.values())
    assert list(runs)[1:] == ["memory", "memory, by the library"] and len(memory) == STEPS
    assert (library / memory - 1).abs().max() < 1e-6
    assert memory[:START].equals(no_memory[:START])
    assert (memory[START:] > no_memory[START:] + 1).all()


def test_it_shows_its_figure_without_a_warning(executed):
    """Oracle: the exported PNG; and the outputs of all cells."""
    root, notebook = executed
    assert complaints(notebook) == []
    assert_shown(notebook, list((root / "figures" / "benchmarks").glob("*.png")))


def test_another_loss_is_noticed(tmp_path):
    """Oracle: the library's λ one hundredth higher: the last cell fails."""
    notebook = nbformat.read(NOTEBOOK, 4)
    (cell,) = [c for c in notebook.cells if "lam=LAM" in c.source]
    cell.source = cell.source.replace("lam=LAM", "lam=LAM + 0.01")
    nbformat.write(notebook, tmp_path / "other.ipynb")
    done, _ = execute(tmp_path, tmp_path / "other.ipynb")
    assert done.returncode != 0 and "AssertionError" in done.stderr
