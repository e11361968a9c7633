"""The study at profile smoke, executed once for all tests that read what it leaves."""

import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock


def studied(folder: Path) -> tuple[Path, str]:
    """The root that `python -m xbmlib.study smoke` fills, and what it prints.

    Run from an unrelated folder, by the first process that asks; others wait for it. Tests only
    read the root, or copy it.
    """
    root, printed = folder / "root", folder / "printed"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not printed.exists():
            (folder / "here").mkdir(exist_ok=True)
            done = subprocess.run(
                [sys.executable, "-m", "xbmlib.study", "smoke"],
                cwd=folder / "here",
                env=os.environ | {"XBM_ROOT": str(root)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert "encryption" not in done.stderr  # the kernels' own warning
            assert not list((folder / "here").iterdir())
            printed.write_text(done.stdout, encoding="utf-8")
    return root, printed.read_text(encoding="utf-8")
