"""Tests of what every notebook shares."""

import json
from importlib import import_module
from itertools import product
from pkgutil import iter_modules

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from IPython import display

from xbmlib.storage import StorageError
from xbmlib.study import figures, notebook
from xbmlib.study.figures import ablation_memory_ratio, retrievals, settings_search
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


for module in iter_modules(figures.__path__):
    import_module(f"{figures.__name__}.{module.name}")


def parameters_of_all(kind=notebook.Checked):
    """The parameters of every notebook."""
    own = [kind] if "notebook" in vars(kind) else []
    return own + [found for sub in kind.__subclasses__() for found in parameters_of_all(sub)]


# Each parameter of some notebook takes one of these, which is not its default.
VALUES = (1, 2, 32, 0.25, True, "hangul", "triplet")
ELSEWHERE = ("profile", "data_root")


def other(kind, name):
    """The parameters of a notebook with one of them changed."""
    for value in VALUES:
        try:
            found = kind(**{name: value})
        except ValueError:
            continue
        if value != kind.model_fields[name].default:
            return found
    raise AssertionError(f"{kind}: no value for {name}")


@pytest.mark.parametrize("kind", parameters_of_all(), ids=lambda kind: kind.notebook)
def test_other_parameters_leave_the_files_of_the_defaults(kind, tmp_path, monkeypatch):
    """Oracle: the bytes of the files at the defaults, and as many new files for each parameter."""
    monkeypatch.setattr(notebook, "ROOT", tmp_path)

    def write(parameters):
        said = dict.fromkeys(("claim", "paper", "ours", "rule", "data"), f"{parameters}")
        rows = pd.DataFrame({"of": [f"{parameters}"]})
        notebook.export(plt.figure(figsize=(0.2, 0.2)), rows, parameters)
        notebook.compare([notebook.Quantity(f"{parameters}", "", pd.Series([1.0]))], parameters)
        notebook.conclude([Verdict(**said, outcome="agrees", seeds=1)], parameters)
        return {path: path.read_bytes() for path in tmp_path.rglob("*.*")}

    found = at_defaults = write(kind())
    assert len(at_defaults) == 5
    for name in kind.model_fields.keys() - {*ELSEWHERE}:
        before, found = found, write(other(kind, name))
        assert found.items() >= before.items() and len(found) == len(before) + 4


def test_one_figure_per_data_set(tmp_path, monkeypatch):
    """Oracle: by hand: the first file has the notebook's name, and each the rows of its data set;
    each image says which one it is.
    """
    monkeypatch.setattr(notebook, "ROOT", tmp_path)
    images = []
    monkeypatch.setattr(display, "display", images.append)
    rows = pd.DataFrame({"data": ["hanzi", "emoji", "hanzi"], "rank": [1, 2, 3]})
    drawn = []

    def draw(name, part):
        drawn.append((name, list(part["rank"])))
        return plt.subplots(figsize=(1, 1))[1]

    parameters = retrievals.Parameters(profile="smoke")
    before = plt.get_fignums()
    notebook.export_each(draw, rows, parameters)
    assert drawn == [("hanzi", [1, 3]), ("emoji", [2])] and plt.get_fignums() == before
    folder = tmp_path / "figures" / "smoke"
    names = ("retrievals", "retrievals_emoji")
    assert {path.stem for path in folder.iterdir()} == set(names)
    for name, image, data in zip(names, images, ("hanzi", "emoji"), strict=True):
        assert image.data == (folder / f"{name}.png").read_bytes()
        assert image._repr_mimebundle_()[1]["image/png"]["alt"] == data
        assert set(pd.read_csv(folder / f"{name}.csv")["data"]) == {data}


def test_what_is_no_other_content():
    """Oracle: three seeds are the full profile's own; every combination has a name of its own."""
    study = ablation_memory_ratio.Parameters
    assert notebook.variant(study(seeds=3)) == notebook.variant(study()) == ""
    assert notebook.variant(study(seeds=3, profile="quick")) == "_seeds=3"
    assert notebook.variant(study(seeds=1, ratio=0.01)) == "_seeds=1_ratio=0.01"
    scaling = import_module(f"{figures.__name__}.scaling").Parameters
    values = dict.fromkeys(scaling.model_fields, 1) | {"share": 0.25, "efficiency": 0.25}
    many = [scaling(**values | {"dim": dim, "ranks": r}) for dim, r in product((1, 2), (1, 2))]
    names = {notebook.variant(parameters) for parameters in many}
    assert len(names) == 4 and all(len(name) <= notebook.LONGEST for name in names)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (settings_search.Parameters(), "*No such runs.*"),
        (settings_search.Parameters(batch=64), "*No such runs with `batch=64`.*"),
        (ablation_memory_ratio.Parameters(), "*No such runs with `profile='full'`.*"),
        (
            ablation_memory_ratio.Parameters(profile="quick", ratio=0.5),
            "*No such runs with `profile='quick'`, `ratio=0.5`.*",
        ),
    ],
)
def test_a_table_without_rows_names_what_selects_them(parameters, words):
    """Oracle: by hand: the parameters that select runs, and no profile where there is none."""
    assert notebook.tabulate(pd.DataFrame({"a": []}), parameters).data == words


def test_several_tables_each_under_its_caption(monkeypatch):
    """Oracle: by hand; one without rows says so."""
    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    parts = {"SOP": pd.DataFrame({"a": [1]}), "In-shop": pd.DataFrame({"b": []})}
    notebook.tabulate_each(parts, settings_search.Parameters())
    table, words = shown
    assert (table.caption, list(table.data)) == ("SOP", ["a"])
    assert words.data == "*No such runs.*"
