"""Tests of the tables that the notebooks show."""

import re

import pandas as pd
from bs4 import BeautifulSoup

from xbmlib.plots.style import COLOURS
from xbmlib.study import tables
from xbmlib.study.verdict import Verdict

WORDS = dict.fromkeys(("claim", "paper", "ours", "rule", "data"), "words")


def style_of(html, cell):
    """The rules of a cell's own style."""
    (found,) = re.findall(rf"#{cell['id']}[ ,][^{{]*\{{([^}}]*)\}}", html.replace("\n", " "))
    return dict(rule.split(": ") for rule in re.split(r";\s*", found.strip()) if rule)


def test_verdicts_first_in_colour_with_a_mark():
    """Oracle: the cells as parsed HTML; the colours of correct, incorrect, and grey."""
    outcomes = {"agrees": "correct", "disagrees": "incorrect", "undecided": "paper"}
    verdicts = [Verdict(**WORDS, outcome=o, seeds=3, p=0.0123) for o in outcomes]
    html = tables.of_verdicts(verdicts).to_html()
    head, *rows = BeautifulSoup(html, "html.parser").find_all("tr")
    names = [cell.get_text() for cell in head.find_all("th")]
    assert names == ["verdict", "claim", "paper", "ours", "p", "n", "data", "rule"]
    marks = [row.td.get_text() for row in rows]
    assert marks == ["✓ agrees", "✗ disagrees", "? undecided"]
    for row, key in zip(rows, outcomes.values(), strict=True):
        assert COLOURS[key] in style_of(html, row.td)["border-left"]
        assert [cell.get_text() for cell in row.find_all("td")][4:6] == ["0.012", "3"]


def test_no_verdict_leaves_the_head():
    """Oracle: the head of a table with a verdict, and no row."""
    none, one = (
        BeautifulSoup(tables.of_verdicts(v).to_html(), "html.parser").find_all("tr")
        for v in ([], [Verdict(**WORDS, outcome="agrees", seeds=3)])
    )
    assert len(none) == 1 and none[0].get_text() == one[0].get_text()


def test_left_aligned_with_empty_cells():
    """Oracle: the rule for all cells; the text of each."""
    rows = pd.DataFrame({"a": [1234.56, None], "b": ["x", "y"]})
    html = tables.left_aligned(rows).to_html()
    for tag in ("th", "td"):
        assert re.search(rf"#T_\w+ +{tag} \{{\s*text-align: left", html)
    cells = [td.get_text() for td in BeautifulSoup(html, "html.parser").find_all("td")]
    assert cells == ["1,234.6", "x", "", "y"]
    assert "<caption" not in html
    indexed = BeautifulSoup(tables.left_aligned(rows, index=True).to_html(), "html.parser")
    assert [th.get_text() for th in indexed.tbody.find_all("th")] == ["0", "1"]


def test_columns_in_words():
    """Oracle: by hand: the columns that have a heading, in its order; numbers stay numbers."""
    rows = pd.DataFrame({"gb": [1, 2], "fits": [True, False], "run": ["a", "b"]})
    found = tables.in_words(rows, {"fits": "fits", "bar": "aim", "gb": "size, GB"})
    assert list(found.columns) == ["fits", "size, GB"]
    assert found["fits"].tolist() == ["yes", "no"] and found["size, GB"].tolist() == [1, 2]


def test_a_caption():
    """Oracle: the caption's text, as parsed HTML."""
    html = tables.left_aligned(pd.DataFrame({"a": [1]}), caption="Of two.").to_html()
    assert BeautifulSoup(html, "html.parser").caption.get_text() == "Of two."
