"""Tests of what every notebook shares."""

import pandas as pd
import pytest

from xbmlib.study.notebook import clear


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        (([1.0, 2.0, 3.0],), "agrees"),  # 2 > 2 · 1/√3
        (([0.0, 2.0, 1.0],), "disagrees"),  # 1 < 2 · 1/√3
        (([-3.0, -2.0, -1.0],), "disagrees"),
        (([1.0, 2.0, 3.0], [0.0, 2.0, 1.0]), "disagrees"),
        (([5.0],), "not testable here"),
    ],
)
def test_clear_of_zero(gains, outcome):
    """Oracle: twice the standard error, by hand."""
    assert clear(*(pd.Series(g) for g in gains)) == outcome
