"""Tests of the figure of Table 2."""

import re

import pandas as pd
import pytest

from xbmlib import paper
from xbmlib.plots import cost as plot
from xbmlib.study.figures import cost as study


@pytest.fixture(scope="module")
def table():
    """The table of made-up R@1 and of the measured time and memory."""
    rows = [{"setting": study.name(r.batch, r.ratio), "R@1": 50.0 + i, "net": "compact"}
            for i, r in enumerate(paper.COST)]  # fmt: skip
    return study.table(pd.DataFrame([row | {"seed": seed} for row in rows for seed in (0, 1)]))


def test_every_value_is_shown_in_the_row_of_its_setting(table):
    """Oracle: the table, cell by cell; the paper's marker stands apart from ours."""
    figure = plot.costs(table)
    settings = list(table["setting"].unique())
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    spelt = [t.replace("\n", " ").replace("$", "") for t in labels]
    percents = {"R_M = 0.01": "R_M = 1%", "R_M = 1": "R_M = 100%"}
    assert spelt == [re.sub(r"R_M = [\d.]+", lambda r: percents[r[0]], s) for s in settings]
    for ax, column in zip(figure.axes, ("gain", "time", "extra_gb"), strict=True):
        marks = [line for line in ax.lines if line.get_marker() in tuple("^8d")]
        found = [(float(m.get_xdata()[0]), round(float(m.get_ydata()[0]))) for m in marks]
        shown = table.dropna(subset=column)
        wanted = list(zip(shown[column], shown["setting"].map(settings.index), strict=True))
        assert sorted(f for f in found if f[0] == f[0]) == sorted(wanted)
        places = [(float(m.get_xdata()[0]), float(m.get_ydata()[0])) for m in marks]
        assert len(set(places)) == len(places)
        low, high = sorted(ax.get_xlim())
        assert all(low <= x <= high for x, _ in wanted)
