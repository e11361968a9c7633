"""One notebook from end to end."""

from __future__ import annotations

import warnings
from pathlib import Path

from xbmlib.storage import ROOT, write_atomically

# Beside the library, wherever the results go.
SOURCES = Path(__file__).resolve().parents[2] / "notebooks"


def executed(profile: str) -> Path:
    """Folder of the notebooks that were executed at a profile."""
    return ROOT / "results" / "notebooks" / profile


def execute(name: str, profile: str, data_root: str | None = None) -> None:
    """Execute a notebook into :func:`executed`, whole or not at all.

    Args:
        name: of the notebook.
        profile: its size.
        data_root: folder of the paper's data sets, where the profile needs them.

    Raises:
        papermill.PapermillExecutionError: a cell failed.
    """
    # Takes a second to import, and nothing else here needs it.
    from papermill import execute_notebook

    with warnings.catch_warnings():
        # It is written under another name first, which has another ending.
        warnings.filterwarnings("ignore", "The specified file", UserWarning)
        write_atomically(
            executed(profile) / f"{name}.ipynb",
            lambda path: execute_notebook(
                SOURCES / f"{name}.ipynb",
                path,
                parameters={"profile": profile, "data_root": data_root},
                progress_bar=False,
                log_output=False,
                stdout_file=_Console(),
            ),
        )


class _Console:
    """Passes the notebooks' progress lines on, indented."""

    def write(self, text: str) -> None:
        print("".join(f"   {line}\n" for line in text.splitlines()), end="", flush=True)

    def flush(self) -> None:
        """Nothing is held back."""
