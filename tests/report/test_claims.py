"""Tests of the table of claims."""

import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from xbmlib.report import claims


@pytest.mark.parametrize("text", ["a_b_ *c* | $x$ `d` [e](f) <g> #h \\ ~~i~~ R² {k}", "± ‖x‖² → σ"])
def test_no_text_is_taken_for_markdown(text):
    """Oracle: markdown-it's own reading gives the text back."""
    html = MarkdownIt("gfm-like", {"linkify": False}).render(claims.plain(text))
    assert BeautifulSoup(html, "html.parser").p.get_text() == text
    assert [tag.name for tag in BeautifulSoup(html, "html.parser").find_all()] == ["p"]
