"""Tests of what the README shows."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_example_runs():
    """Oracle: it ends, with the memory full and a finite loss."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    names = {}
    exec(code, names)
    assert names["memory"].full and names["value"].isfinite()
