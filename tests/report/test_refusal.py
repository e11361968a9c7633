"""Tests of the report's command line where there is nothing to report."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_report_without_executed_notebooks_is_refused_at_once(tmp_path):
    """Oracle: the modules that take long to import are not imported; the remedy is named."""
    code = (
        "import runpy, sys; sys.argv = ['report', 'full']\n"
        "try: runpy.run_module('xbmlib.report', run_name='__main__')\n"
        "finally: print(sorted({'pandas', 'matplotlib', 'sphinx', 'IPython'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "PYTHONPATH": str(ROOT), "XBM_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stdout.strip() == "[]"
    assert done.stderr.strip().endswith("run python -m xbmlib.study full")
