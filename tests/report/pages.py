"""The report as its tests make and read it."""

import json
import os
import re
import subprocess
import sys

from bs4 import BeautifulSoup


def report(root):
    """The report's command line."""
    return subprocess.run(
        [sys.executable, "-m", "xbmlib.report", "smoke"],
        env=os.environ | {"XBM_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


def soup(page):
    """A page, parsed."""
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def shown(site, name):
    """What the explorer's script of a data set holds."""
    text = (site / "_static" / f"retrievals_{name}.js").read_text(encoding="utf-8")
    return json.loads(re.fullmatch(rf'RETRIEVALS\["{name}"\] = (.*);\n', text)[1])
