"""Tests of what the README shows."""

import re
from pathlib import Path

from xbmlib.study.summary import rewrite_readme

ROOT = Path(__file__).resolve().parent.parent


def test_the_example_runs():
    """Oracle: it ends, with the memory full and a finite loss."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    names = {}
    exec(code, names)
    assert names["memory"].full and names["value"].isfinite()


def test_the_table_is_generated():
    """Oracle: the stored verdicts, rendered anew."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert rewrite_readme(text) == text
    assert text.count("| **") == text.count("hanzi (drawn), batch") > 5
