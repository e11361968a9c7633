"""Tests of how a notebook's kernel is reached."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from xbmlib.study import execution

ASK = """\
from IPython import get_ipython
kernel = get_ipython().kernel.parent
print(kernel.transport, kernel.ip)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="its kernels are reached over TCP")
def test_a_kernel_has_socket_files_of_its_own(tmp_path, monkeypatch, capfd):
    """Oracle: what the kernel itself prints: no port that another could take, and no file left."""
    source = new_notebook(
        cells=[new_code_cell(ASK)],
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
    )
    nbformat.write(source, tmp_path / "ask.ipynb")
    monkeypatch.setattr(execution, "SOURCES", tmp_path)
    reached = []
    for number in range(2):
        execution.execute_to(tmp_path / f"{number}.ipynb", "ask")
        (output,) = nbformat.read(tmp_path / f"{number}.ipynb", 4).cells[-1].outputs
        transport, path = output.text.split()
        assert transport == "ipc" and not Path(path).parent.exists()
        reached.append(path)
    assert reached[0] != reached[1]
    assert "WARNING" not in capfd.readouterr().err
