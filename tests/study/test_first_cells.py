"""Tests of what the first cells of the notebooks import, which a reader waits for."""

import json
import subprocess
import sys

from benchmarks.waiting import apart
from xbmlib.study.execution import SOURCES
from xbmlib.study.plan import NOTEBOOKS

# Each takes a second or more to import, and no figure needs it.
HEAVY = ("sphinx", "papermill", "faiss", "torchvision")


def imports(name):
    """The imports of all code cells of a notebook."""
    cells = json.loads((SOURCES / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [apart("".join(c["source"]))[0] for c in cells if c["cell_type"] == "code"]


def test_no_notebook_imports_what_its_figure_does_not_need():
    """Oracle: the modules of a fresh interpreter that has run every import of the studies."""
    lines = [line for name in NOTEBOOKS for line in imports(name)]
    report = "import json, sys; print(json.dumps([*sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, report])],
        cwd=SOURCES.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    needed = {f"xbmlib.study.figures.{name}" for name in ("ablation_memory_ratio", "cost")}
    assert {"xbmlib.study.notebook", "xbmlib.plots.cost", "torch", *needed} <= loaded
    assert loaded.isdisjoint(HEAVY)
