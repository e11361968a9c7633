"""Tests of executed notebooks as pages."""

import base64

import nbformat.v4 as v4

import xbmlib.study.measured
from tests.kernels import ROOT
from xbmlib.report import notebooks
from xbmlib.study.plan import NOTEBOOKS

PNG = b"\x89PNG\r\n\x1a\n"


def shows(png=PNG, name=None):
    """The outputs of a cell that shows an image, of a data set if a name is given."""
    data = {"image/png": base64.b64encode(png).decode()}
    said = {"image/png": {"alt": name}} if name else {}
    return [v4.new_output("display_data", data, metadata=said)]


def test_injected_parameters_are_merged_into_their_cell():
    """Oracle: the cell written by hand: values replaced, comments and other names kept."""
    written = 'profile = "quick"  # größe "of" # every run\nseeds = None  # how many\nratio = 1'
    notebook = v4.new_notebook(
        cells=[
            v4.new_code_cell(written, metadata={"tags": ["parameters"]}),
            v4.new_code_cell(
                '# Parameters\nprofile = "große"\nratio = -0.5\n',
                metadata={"tags": ["injected-parameters"]},
            ),
            v4.new_code_cell("profile"),
        ]
    )
    notebooks.merge_parameters(notebook)
    merged = 'profile = "große"  # größe "of" # every run\nseeds = None  # how many\nratio = -0.5'
    assert [cell.source for cell in notebook.cells] == [merged, "profile"]


def test_a_notebook_without_injected_parameters_stays_as_it_is():
    """Oracle: the notebook before."""
    cell = v4.new_code_cell("a = 1  # b", metadata={"tags": ["parameters"]})
    notebook = v4.new_notebook(cells=[cell])
    notebooks.merge_parameters(notebook)
    assert [c.source for c in notebook.cells] == ["a = 1  # b"]


def test_the_text_before_a_figure_becomes_its_caption():
    """Oracle: caption, heading and alternative text, written by hand; other cells keep theirs."""
    notebook = v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# Title\n\nAn introduction."),
            v4.new_code_cell("data"),
            v4.new_markdown_cell("## Drift\n\nOf `hanzi` at **batch** 64,\n$D$; see [a](b.md)."),
            v4.new_code_cell("plot", outputs=shows()),
            v4.new_code_cell("again", outputs=shows()),
            v4.new_markdown_cell("## One set\n\nThe first."),
            v4.new_code_cell("each", outputs=shows(name="hanzi")),
        ]
    )
    notebooks.describe_figures(notebook)
    title, data, heading, plot, again, set_heading, one = notebook.cells
    assert title.source == "# Title\n\nAn introduction." and "mystnb" not in data.metadata
    assert heading.source == "## Drift"
    assert plot.metadata.mystnb == {
        "image": {"alt": "Drift. Of hanzi at batch 64, D; see a."},
        "figure": {"caption": "Of `hanzi` at **batch** 64,\n$D$; see [a](b.md)."},
    }
    assert again.metadata.mystnb == {"image": {"alt": "Drift."}}
    assert set_heading.source == "## One set"
    assert one.metadata.mystnb == {
        "image": {"alt": "One set: hanzi. The first."},
        "figure": {"caption": "`hanzi`. The first."},
    }


def test_each_of_several_figures_has_its_own_alternative_text_and_caption():
    """Oracle: written by hand: a cell each, in order, with every output; the text stays above."""
    said = [v4.new_output("stream", text="two sets")]
    first, second = shows(b"1", "hanzi"), shows(b"2", "emoji")
    loop = v4.new_code_cell("loop", outputs=[*said, *first, *second, *said])
    text = v4.new_markdown_cell("## Several\n\nOne per set.")
    notebook = v4.new_notebook(cells=[text, loop, v4.new_code_cell("end")])
    notebooks.describe_figures(notebook)
    heading, one, other, end = notebook.cells
    assert heading.source == "## Several\n\nOne per set." and end.source == "end"
    assert (one.source, one.outputs) == ("loop", [*said, *first])
    assert other.outputs == [*second, *said]
    assert other.source.strip() and other.metadata.tags == ["remove-input"]
    for cell, name in ((one, "hanzi"), (other, "emoji")):
        assert cell.metadata.mystnb == {
            "image": {"alt": f"Several: {name}. One per set."},
            "figure": {"caption": f"Several: `{name}`"},
        }


MEASURED = {"scaling", "benchmarks", "settings_search"}


def test_every_notebook_has_a_page(tmp_path, monkeypatch):
    """Oracle: the folder of the notebooks; a root without measurements shows the committed ones."""
    monkeypatch.setattr(xbmlib.study.measured, "ROOT", tmp_path)
    executed, source_only = notebooks.without_profile()
    assert set(executed) >= MEASURED and source_only == ["pretrain"]
    sources = [path.stem for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert sorted([*NOTEBOOKS, *executed, *source_only]) == sorted(sources)


def test_a_notebook_without_its_measurements_is_left_out(tmp_path, monkeypatch):
    """Oracle: the notebooks' own lists: none executed without its file."""
    for name in ("ROOT", "CHECKOUT"):
        monkeypatch.setattr(xbmlib.study.measured, name, tmp_path)
    assert not MEASURED & {*notebooks.without_profile()[0]}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "scaling.csv").touch()
    assert MEASURED & {*notebooks.without_profile()[0]} == {"scaling"}
