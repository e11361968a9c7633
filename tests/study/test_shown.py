"""Tests of what a kernel shows: the notebooks that train nothing, each figure twice."""

import copy
import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbclient import NotebookClient

from tests.study.outputs import assert_shown, complaints, figures, images
from xbmlib.study.execution import SOURCES, kernel_config

# Headings that a reader would have to look up in the code.
RAW = re.compile(r"[a-z]+(_[a-z]+)+|gb|ms|lr|MB|dtype|ranks|sense|bar|least|times|passes|against")
READERS = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"


@pytest.fixture(scope="module", params=["benchmarks", "scaling"])
def executed(request, tmp_path_factory):
    """(notebook, root): every figure cell run a second time, and the reader's own plot last."""
    root = tmp_path_factory.mktemp("root")
    notebook = nbformat.read(SOURCES / f"{request.param}.ipynb", 4)
    cells = []
    for cell in notebook.cells:
        cells += [cell, copy.deepcopy(cell)] if cell in figures(notebook) else [cell]
    notebook.cells = [*cells, nbformat.v4.new_code_cell(READERS)]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    connection = kernel_config()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBM_ROOT", str(root))
        NotebookClient(notebook, kernel_name="python3", timeout=300, config=connection).execute()
    return notebook, root


def test_every_figure_is_shown_as_exported(executed):
    """Oracle: the PNG files, byte by byte; a second run of a cell shows the same."""
    notebook, root = executed
    exported = sorted((root / "figures" / "benchmarks").glob("*.png"))
    assert len(figures(notebook)) == 2 * len(exported) == 4
    assert_shown(notebook, exported)
    for path in exported:
        assert path.with_suffix(".svg").is_file() and path.with_suffix(".csv").is_file()


def test_a_readers_plot_is_shown(executed):
    """Oracle: one image, which no file holds."""
    notebook, root = executed
    (own,) = images(notebook.cells[-1])
    assert own not in {path.read_bytes() for path in root.rglob("*.png")}


def test_no_heading_is_the_name_of_a_column(executed):
    """Oracle: no identifier, abbreviation or unit alone, in whichever table."""
    outputs = [output for cell in executed[0].cells for output in cell.get("outputs", [])]
    html = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    heads = [th.get_text() for th in BeautifulSoup(html, "html.parser").select("thead th")]
    assert len(heads) > 20 and not [head for head in heads if RAW.fullmatch(head)]


def test_nothing_is_complained_of(executed):
    """Oracle: no stderr, no warning."""
    assert complaints(executed[0]) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import warnings; warnings.warn('old')", "UserWarning: old"),
        ("import sys; print('lost', file=sys.stderr)", "lost"),
        ("print('fine'); 1", None),
    ],
)
def test_a_complaint_is_seen(code, said):
    """Oracle: by hand, in a kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    connection = kernel_config()
    NotebookClient(notebook, kernel_name="python3", timeout=60, config=connection).execute()
    found = complaints(notebook)
    assert len(found) == (said is not None)
    assert all(said in text for text in found)
