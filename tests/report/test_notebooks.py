"""Tests of executed notebooks as pages."""

import base64

import nbformat.v4 as v4

from xbmlib.report import notebooks

PNG = b"\x89PNG\r\n\x1a\n"


def shows(png=PNG):
    """The outputs of a cell that shows an image."""
    return [v4.new_output("display_data", {"image/png": base64.b64encode(png).decode()})]


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
            v4.new_markdown_cell("## Several\n\nOne per set."),
            v4.new_code_cell("loop", outputs=2 * shows()),
        ]
    )
    notebooks.describe_figures(notebook)
    title, data, heading, plot, again, text, loop = notebook.cells
    assert title.source == "# Title\n\nAn introduction." and "mystnb" not in data.metadata
    assert heading.source == "## Drift"
    assert plot.metadata.mystnb == {
        "image": {"alt": "Drift. Of hanzi at batch 64, D; see a."},
        "figure": {"caption": "Of `hanzi` at **batch** 64,\n$D$; see [a](b.md)."},
    }
    assert again.metadata.mystnb == {"image": {"alt": "Drift."}}
    assert text.source == "## Several\n\nOne per set."
    assert loop.metadata.mystnb == {"image": {"alt": "Several. One per set."}}


def test_a_notebook_without_its_measurements_is_left_out(tmp_path):
    """Oracle: the notebooks' own lists: none executed without its file, none trained."""
    executed, source_only = notebooks.without_profile(tmp_path)
    assert not {"scaling", "benchmarks", "settings_search"} & set(executed) and source_only == [
        "pretrain"
    ]
    (tmp_path / "scaling.csv").touch()
    assert "scaling" in notebooks.without_profile(tmp_path)[0]
