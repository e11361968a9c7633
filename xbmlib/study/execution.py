"""Executing one notebook from end to end."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any
from uuid import uuid4

from traitlets.config import Config

from xbmlib.storage import ROOT, write_atomically

# In the checkout, wherever the results are written to.
SOURCES = Path(__file__).resolve().parents[2] / "notebooks"
# A kernel is interrupted before it is shut down, and logs an error where that finds it busy with
# its last message. The error of a cell is no log line: it is raised.
QUIET = {"NotebookClient": {"extra_arguments": ["--IPKernelApp.log_level=CRITICAL"]}}


def executed(profile: str) -> Path:
    """Folder of the executed notebooks of a profile."""
    return ROOT / "results" / "notebooks" / profile


def execute(name: str, profile: str, data_root: str | None = None) -> None:
    """Execute a notebook and write it to :func:`executed`, complete or not at all.

    Args:
        name: name of the notebook.
        profile: name of the profile.
        data_root: folder of the paper's data sets, for the profiles that need them.

    Raises:
        papermill.PapermillExecutionError: a cell failed.
    """
    with warnings.catch_warnings():
        # The file is written under a temporary name first, which does not end in .ipynb.
        warnings.filterwarnings("ignore", "The specified file", UserWarning)
        write_atomically(
            executed(profile) / f"{name}.ipynb",
            lambda path: execute_to(path, name, profile=profile, data_root=data_root),
        )


def execute_to(path: Path, name: str, **parameters: Any) -> None:
    """Execute a notebook with these parameters and write it to a path, its outputs as they come.

    Raises:
        papermill.PapermillExecutionError: a cell failed.
    """
    # Takes a second to import, and nothing else here needs it.
    from papermill import execute_notebook

    execute_notebook(
        SOURCES / f"{name}.ipynb",
        path,
        parameters=parameters,
        progress_bar=False,
        log_output=False,
        stdout_file=_Console(),
        config=kernel_config(),
    )


def kernel_config() -> Config:
    """A configuration of one kernel: quiet, and on Linux listening on sockets of its own.

    The ports of TCP, the default, are chosen before the kernel starts and free until it listens:
    of notebooks that are executed in parallel, one now and then takes another's. Linux's abstract
    sockets have a name and no file, so that none is left behind however the processes end.
    """
    own = {"KernelManager": {"transport": "ipc", "ip": f"@xbm-{uuid4().hex}"}}
    return Config(QUIET | (own if sys.platform == "linux" else {}))


class _Console:
    """Prints the progress lines of a notebook, indented."""

    def write(self, text: str) -> None:
        print("".join(f"   {line}\n" for line in text.splitlines()), end="", flush=True)

    def flush(self) -> None:
        """Nothing is buffered."""
