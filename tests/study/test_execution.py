"""Tests of how a notebook's kernel is reached."""

import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.kernels import ROOT, papermill
from xbmlib.study import execution

ASK = """\
import os
from IPython import get_ipython
kernel = get_ipython().kernel.parent
files = [name for name in os.listdir(os.environ["TMPDIR"]) if name.startswith("xbm-")]
print(kernel.transport, kernel.ip, *files)
"""
# What ipykernel does where an interrupt, which comes before a shutdown, finds it busy.
INTERRUPTED = """\
from IPython import get_ipython
get_ipython().kernel.log.error("KeyboardInterrupt caught in kernel.")
"""


def write_source(folder: Path, monkeypatch, cell: str) -> None:
    """Write a notebook of one cell, and have it executed under the name of "source"."""
    source = new_notebook(
        cells=[new_code_cell(cell)],
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
    )
    nbformat.write(source, folder / "source.ipynb")
    monkeypatch.setattr(execution, "SOURCES", folder)


@pytest.mark.skipif(sys.platform != "linux", reason="its kernels are reached over TCP")
def test_a_kernel_has_sockets_of_its_own_without_files(tmp_path, monkeypatch, capfd):
    """Oracle: what the kernel itself prints: no port that another could take, and while it runs
    neither file nor folder of its sockets, so that a SIGKILL leaves none.
    """
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    write_source(tmp_path, monkeypatch, ASK)
    reached = []
    for number in range(2):
        execution.execute_to(tmp_path / f"{number}.ipynb", "source")
        (output,) = nbformat.read(tmp_path / f"{number}.ipynb", 4).cells[-1].outputs
        transport, name, *files = output.text.split()
        assert transport == "ipc" and name.startswith("@xbm-") and not files
        reached.append(name)
    assert reached[0] != reached[1]
    assert "WARNING" not in capfd.readouterr().err


def test_a_kernel_that_is_shut_down_while_busy_prints_nothing(tmp_path, monkeypatch, capfd):
    """Oracle: an empty stderr."""
    write_source(tmp_path, monkeypatch, INTERRUPTED)
    execution.execute_to(tmp_path / "out.ipynb", "source")
    assert not capfd.readouterr().err


def test_a_parameter_that_python_reserves(tmp_path):
    """Oracle: papermill's exit code and words: the kernel refuses the cell that it injects, before
    anything is imported or trained.
    """
    notebook, out = ROOT / "notebooks" / "ablation_memory_ratio.ipynb", tmp_path / "out.ipynb"
    done = papermill(notebook, out, tmp_path / "root", "-p", "class", "3")
    assert done.returncode == 1 and "unknown parameter: class" in done.stderr
    assert done.stderr.strip().endswith("SyntaxError: invalid syntax")
    counts = [c.execution_count for c in nbformat.read(out, 4).cells if c.cell_type == "code"]
    assert [count for count in counts if count] == [1, 2] and not (tmp_path / "root").exists()
