"""What a person waits for: set-up, a first frame, ``make reproduce`` and ``make report``.

    python -m benchmarks.waiting

With every run of profile ``full`` stored; some ten minutes, on all cores. Writes
results/waiting.csv. The commands are those of the Makefile, and write to a temporary folder.
"""

from __future__ import annotations

import ast
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from benchmarks.measure import Row, duration, publish, row
from xbmlib.storage import CHECKOUT, ROOT
from xbmlib.study.execution import SOURCES, kernel_config
from xbmlib.study.notebook import ProfileName
from xbmlib.study.plan import plan
from xbmlib.training.store import RunStore

PROFILE: ProfileName = "full"
# The notebook whose first cell is timed, and kernels started for it after one for warm-up.
NOTEBOOK, KERNELS = "ablation_memory_ratio", 3
# Limits in seconds.
FIRST_FRAME, REPRODUCE, REPORT, SET_UP = 3.0, 240.0, 480.0, 600.0


def apart(source: str) -> tuple[str, str]:
    """The imports of a cell, and the statements that follow."""
    body = ast.parse(source).body
    parts: tuple[list[str], list[str]] = ([], [])
    for node in body:
        parts[not isinstance(node, ast.Import | ast.ImportFrom)].append(ast.unparse(node))
    return "\n".join(parts[0]), "\n".join(parts[1])


def opening(path: Path) -> NotebookNode:
    """A notebook up to its first frame, in three cells: parameters, imports, the rest."""
    code = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    parameters, first = code[:2]
    cells = [nbformat.v4.new_code_cell(source) for source in (parameters, *apart(first))]
    return nbformat.v4.new_notebook(cells=cells)


def seconds(cell: NotebookNode) -> float:
    """From the kernel's taking up a cell to its reply, by the kernel's clock."""
    noted = cell.metadata["execution"]
    began, ended = (
        datetime.fromisoformat(noted[event])
        for event in ("iopub.execute_input", "shell.execute_reply")
    )
    return (ended - began).total_seconds()


def in_a_kernel(path: Path) -> tuple[float, float]:
    """Seconds that the imports and the rest of a notebook's first cell take in a kernel of its own.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = opening(path)
    NotebookClient(
        notebook, kernel_name="python3", record_timing=True, config=kernel_config()
    ).execute()
    _, imports, frame = map(seconds, notebook.cells)
    return imports, frame


def first_frame() -> Iterator[Row]:
    """The first cell of the study in a new kernel, whose files are in the system's cache."""
    times = [in_a_kernel(SOURCES / f"{NOTEBOOK}.ipynb") for _ in range(1 + KERNELS)][1:]
    imports, frame = (statistics.median(part) for part in zip(*times, strict=True))
    whole = statistics.median(map(sum, times))
    what = f"first cell of {NOTEBOOK}, profile {PROFILE}"
    yield row(f"{what}: imports", "the cell", imports, whole, unit="s")
    yield row(f"{what}: frame", "the cell", frame, whole, unit="s")
    yield row(what, f"a limit of {FIRST_FRAME:g} s", whole, FIRST_FRAME, sense="<=", bar=1.0,
              unit="s")  # fmt: skip


@contextmanager
def stored() -> Iterator[Path]:
    """A root with links to what is stored, where notebooks, verdicts and figures are made anew."""
    with TemporaryDirectory() as folder:
        results = Path(folder, "results")
        results.mkdir()
        for path in (ROOT / "results").iterdir():
            if path.name == "verdicts":
                shutil.copytree(path, results / path.name)
            elif path.name != "notebooks":
                (results / path.name).symlink_to(path)
        yield Path(folder)


def command(module: str, root: Path) -> float:
    """Seconds of ``python -m module full`` with its results in a root.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    environment = os.environ | {"XBM_ROOT": str(root)}
    called = [sys.executable, "-m", module, PROFILE]
    return duration(partial(subprocess.run, called, cwd=CHECKOUT, env=environment, check=True))


def commands() -> Iterator[Row]:
    """``make reproduce`` and ``make report``, which reproduces first."""
    with stored() as root:
        reproduce = command("xbmlib.study", root)
        report = command("xbmlib.report", root)
    yield row("make reproduce, every run stored", f"a limit of {REPRODUCE:g} s", reproduce,
              REPRODUCE, sense="<=", bar=1.0, unit="s")  # fmt: skip
    yield row("make report, every run stored", f"a limit of {REPORT:g} s", reproduce + report,
              REPORT, sense="<=", bar=1.0, unit="s")  # fmt: skip


def set_up() -> Iterator[Row]:
    """``make setup`` in a new clone of the checkout; most of it is downloading and unpacking.

    Raises:
        subprocess.CalledProcessError: the checkout is no clone, or set-up failed.
    """
    with TemporaryDirectory() as folder:
        clone = ["git", "clone", "--quiet", str(CHECKOUT), f"{folder}/clone"]
        make = ["make", "--silent", "setup"]
        seconds = [
            duration(partial(subprocess.run, clone, check=True)),
            duration(partial(subprocess.run, make, cwd=f"{folder}/clone", check=True)),
        ]
    yield row("git clone, from a disk", "make setup", seconds[0], seconds[1], unit="s")
    yield row("make setup in a new clone", f"a limit of {SET_UP:g} s", seconds[1], SET_UP,
              sense="<=", bar=1.0, unit="s",
              reason="mostly downloading and unpacking the packages")  # fmt: skip


def require_stored() -> None:
    """Nothing is trained here.

    Raises:
        SystemExit: a run is not stored.
    """
    store = RunStore()
    if missing := sum(not store.done(id) for id in plan(PROFILE)["runs"]):
        sys.exit(f"runs not in {store.folder}: {missing}; make reproduce first")


def main() -> None:
    """Measure and write results/waiting.csv."""
    require_stored()
    # First what may fail: without a network nothing is set up.
    rows = [found for part in (set_up, first_frame, commands) for found in part()]
    publish("waiting", rows)


if __name__ == "__main__":
    main()
