"""papermill's command line, as a reader of the notebooks uses it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def papermill(notebook, out, root, *parameters, cwd=ROOT):
    """Execute a notebook in this environment; ``root`` is that of its results and figures.

    papermill chooses a kernel's ports before the kernel starts: of tests that run in parallel, one
    now and then takes another's, and papermill waits in vain. That one is executed once more.
    """
    command = [sys.executable, "-m", "papermill", str(notebook), str(out), "--no-progress-bar"]
    for _ in range(3):
        done = subprocess.run(
            [*command, *parameters],
            cwd=cwd,
            env=os.environ | {"XBM_ROOT": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )
        if "Address already in use" not in done.stderr:
            break
    return done
