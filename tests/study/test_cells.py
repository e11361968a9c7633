"""Tests of the names that the cells of a running notebook assign."""

import math
import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from papermill import execute_notebook

from xbmlib.study.cells import TAKES, assigned
from xbmlib.study.execution import kernel_config
from xbmlib.study.figures import ablation_memory_ratio, benchmarks, scaling
from xbmlib.study.measured import measured
from xbmlib.study.notebook import ParameterError

ROOT = Path(__file__).resolve().parents[2]
# The imports of a notebook, and what it takes its parameters by.
IMPORTS = """\
from xbmlib import plots
from xbmlib.plots import ablation_memory_ratio as plot
from xbmlib.study import notebook
from xbmlib.study.execution import kernel_config
from xbmlib.study.figures import ablation_memory_ratio as study
"""
KERNELS = ("In", "Out", "exit", "quit", "open", "get_ipython", "display")
PRIVATE = ("_", "__", "_i", "_secret", "__name__", "__doc__", "_ih")
MODULES = ("plots", "plot", "notebook", "study", "data", "parameters")


def test_names_that_a_kernel_or_an_import_hides_are_refused(tmp_path, monkeypatch):
    """Oracle: the names that papermill injected, each in a line of its own, in a real kernel; the
    parameters of the notebook itself are taken. The cell executed again says the same.
    """
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    ask = f"""\
{IMPORTS}
try:
    parameters = study.Parameters{TAKES}
except notebook.ParameterError as error:
    print(error)
else:
    data = 1
    print(parameters)
"""
    source = new_notebook(
        cells=[
            new_code_cell(
                'profile = "smoke"\nseeds = None\nratio = None\ndata_root = None\n',
                metadata={"tags": ["parameters"]},
            ),
            new_code_cell("ratio = ratio and 2 * ratio\n"),
            new_code_cell(ask),
            new_code_cell(ask),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
    )
    nbformat.write(source, tmp_path / "in.ipynb")
    names = KERNELS + PRIVATE + MODULES
    given = dict.fromkeys(names, 7) | {"ratio": 0.25}
    printed = {}
    for which, values in (("bad", given), ("good", {"ratio": 0.25})):
        out = execute_notebook(
            tmp_path / "in.ipynb", None, values, progress_bar=False, config=kernel_config()
        )
        cells = [c for c in out.cells if c.cell_type == "code"]
        printed[which] = [c.outputs[0].text.strip().splitlines() for c in cells[3:]]
    for lines in printed["bad"]:
        assert {line.split(":")[0] for line in lines} == {f"{name}=7" for name in names}
        assert all("no such parameter" in line for line in lines)
    # Executed again, after its own results are in the namespace, it takes the same.
    first, again = printed["good"]
    assert first == again == ["profile='smoke' seeds=None data_root=None ratio=0.5"]


@pytest.mark.parametrize(
    ("cells", "namespace", "wanted"),
    [
        (["a = 1", "b = 2"], {}, {"a": 1, "b": 2}),
        (["a = 1", "a = 2"], {}, {"a": 2}),
        (["a: int = 1\nb, c = 1, 2\nd = e = 'x'"], {}, {"a": 1, "d": "x", "e": "x"}),
        (["a = float('nan')"], {"a": math.inf}, {"a": math.inf}),
        (["import os\na = 1\nprint(a)"], {}, {"a": 1}),
        (["a = 1", f"p = P{TAKES}\ndata = 3", "data = 4\ndata.tail()"], {}, {"a": 1}),
        (["a = 1", f"p = P{TAKES}", "x = f(data)", "a = 3\nb = 1"], {}, {"a": 3, "b": 1}),
        (["a = ", "b.c = 1\nb[0] = 2", "def f(): x = 1"], {}, {}),
        (["# Parameters\nclass = 7\na = 1\nNone = 'x'  # y"], {}, {"class": 7, "None": "x"}),
    ],
)
def test_assigned(cells, namespace, wanted):
    """Oracle: by hand; of a tuple, every name has a value, whichever."""
    found = assigned(cells, namespace)
    assert found.keys() - {"b", "c"} == wanted.keys() - {"b", "c"}
    assert {name: found[name] for name in wanted} == wanted


def test_every_notebook_takes_its_parameters_where_the_check_looks():
    """Oracle: the notebooks' own cells: one holds the call, after the parameters alone."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        code = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
        assert [TAKES in cell for cell in code].index(True) == 1, path
        assert sum(TAKES in cell for cell in code) == 1


@pytest.mark.parametrize(
    "values",
    [{"_secret": 1}, {"study": 1}, {"open": 1}, {"In": 1}, {"rato": 0.1}, {"class": 1},
     {"__builtins__": 1}],
)  # fmt: skip
def test_a_mapping_is_refused_by_the_same_rule(values):
    """Oracle: the name and the value."""
    ((name, value),) = values.items()
    with pytest.raises(ParameterError, match=f"{name}={value}: no such parameter"):
        ablation_memory_ratio.Parameters.of(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data_root": ""}, "data_root='': no such folder"),
        ({"data_root": "a" * 5000}, r"data_root='aaa.*… \(5,002 characters\): no such folder"),
        ({"data_root": "a\0"}, "data_root=.*: no such folder"),
        ({"ratio": "x" * 10_000}, r"ratio='xxx.*… \(10,002 characters\): input should"),
    ],
)
def test_folders_and_long_values(values, message, monkeypatch, tmp_path):
    """Oracle: one short line, and the environment as it was; the working directory, which an empty
    path would name, does exist.
    """
    monkeypatch.setenv("XBM_DATA", "before")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match=message) as caught:
        ablation_memory_ratio.Parameters.of(values)
    assert len(str(caught.value)) < 400 and len(str(caught.value).splitlines()) == 1

    assert os.environ["XBM_DATA"] == "before"


FLOATS = [n for n, f in scaling.Parameters.model_fields.items() if f.annotation is float]
INTEGERS = [n for n in scaling.Parameters.model_fields if n not in FLOATS]


@pytest.mark.parametrize("name", FLOATS + INTEGERS)
def test_extremes_of_scaling(name):
    """Oracle: one line for what is out of range; at either bound every number is finite and
    positive.
    """
    # No time at all per tile is in range.
    for value in (10**400, -1, 1e300, 10**5000, *([1e-320] if name != "tile_us" else [])):
        with pytest.raises(ParameterError, match=f"^{name}=.*$"):
            scaling.Parameters.of({name: value})
    field = scaling.Parameters.model_fields[name]
    low, high = (
        next(getattr(m, key) for m in field.metadata if hasattr(m, key)) for key in ("ge", "le")
    )
    kind = field.annotation
    for value in (kind(low), kind(high)):
        found = scaling.predicted(scaling.Parameters.of({name: value}))
        for column in ("gb", "product_ms", "exchange_ms", "times", "least"):
            assert all(math.isfinite(v) and v >= 0 for v in found[column]), column
        assert (found["times"] >= 1).all()


def test_a_figure_of_no_memory_is_refused():
    """Oracle: the largest M of the measurements themselves."""
    largest = int(measured("benchmarks_growth")["M"].max())
    assert len(benchmarks.growth(benchmarks.Parameters(least=largest))) >= 1
    with pytest.raises(ParameterError, match=f"least={largest + 1}: the largest M .* {largest};"):
        benchmarks.growth(benchmarks.Parameters(least=largest + 1))
    with pytest.raises(ParameterError, match=f"largest M .* {largest};"):
        benchmarks.growth(benchmarks.Parameters(least=10**12))
