"""Tests of how each notebook opens and closes."""

import json
import re
from pathlib import Path

import pytest

from tests.paper.test_tables import TEXT, needs_text
from tests.paper.test_words import plain
from xbmlib.study.plan import NOTEBOOKS

ROOT = Path(__file__).resolve().parents[2]
PAPER = "https://arxiv.org/abs/1912.06798"
CELLS = {
    path.stem: [
        (cell["cell_type"], "".join(cell["source"]))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    ]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
}
every = pytest.mark.parametrize("name", list(CELLS))
# Where pages 2 to 10 of the PDF begin in its text, which has no marks of its own: two columns a
# page, the floats of each page first, sentences broken at its end. Page 3 may begin a paragraph
# earlier or later, where the text names no figure, table or section.
BEGINS = (
    "Figure 1. R@1 results",
    "Proxy-based DML. There",
    "Figure 2. Cross-Batch Memory",
    "Algorithm 1 Pseudocode",
    "Figure 4. The number",
    "Table 1. Retrieval results",
    "Table 3. Recall@K",
    "- [1] Maxime Bucher",
    "- [39] Paul Wohlhart",
)


@every
def test_opening(name):
    """Oracle: the order that a reader is promised: place, claim, here, what would contradict it."""
    kind, text = CELLS[name][0]
    title, place, claim, here, *rest = text.split("\n\n")
    assert kind == "markdown" and title.startswith("# ")
    assert re.search(rf"\[[^\]]*(Figure|Table|Section|Algorithm)[^\]]*\]\({PAPER}\)", place)
    assert re.match(r"\*\*The (claim|question)\.\*\* ", claim) and here.startswith("**Here.** ")
    # The weights that all runs start from are no claim.
    assert name == "pretrain" or rest[0].startswith("**What would contradict it.** ")


@needs_text
@every
def test_places_and_quotations_are_the_papers(name):
    """Oracle: the paper's text has every figure, table and section named, and the words quoted."""
    paper = TEXT.read_text(encoding="utf-8")
    _, place, claim, *_ = CELLS[name][0][1].split("\n\n")
    for number in re.findall(r"Figures? (\d)|(?<=and Figure )(\d)", place):
        assert f"\nFigure {''.join(number)}." in paper
    for number in re.findall(r"Table (\d)", place):
        assert f"\nTable {number}." in paper
    for number in re.findall(r"Sections? (\d\.\d)", place):
        assert f"\n{number}. " in paper
    for words in re.findall(r'"([^"]+)"', place + claim):
        assert plain(words) in plain(paper) or words == "several lines of codes", words


@needs_text
@every
def test_the_link_names_the_page(name):
    """Oracle: the order of the paper's text; a section may be cited at any page that it is on."""
    paper = TEXT.read_text(encoding="utf-8")

    def page(at):
        return 1 + sum(paper.index(f"\n{words}") <= at for words in BEGINS)

    (linked,) = re.findall(rf"\[([^\]]*)\]\({PAPER}\)", CELLS[name][0][1].split("\n\n")[1])
    *parts, rest = re.split(r"\(page (\d+)\)", linked)
    assert parts and not rest
    for names, stated in zip(parts[::2], map(int, parts[1::2]), strict=True):
        sections = re.findall(r"Section (\d\.\d)", names)
        for number in sections:
            start = paper.index(f"\n{number}. ")
            end = re.compile(r"\n\d\.(\d\.)? [A-Z]").search(paper, start + 1).start()
            assert page(start) <= stated <= page(end)
        numbers = re.findall(r"(Figure|Table|Algorithm|Lemma)s? (\d)(?: and (\d))?", names)
        assert numbers or sections
        for kind, *found in numbers:
            for number in filter(None, found):
                (caption,) = re.finditer(rf"\n{kind} {number}\.? [A-Z*]", paper)
                assert page(caption.start()) == stated, (kind, number)


@every
def test_nothing_raw_is_shown(name):
    """Oracle: no cell ends in a frame: tables are styled, runs are counted and not listed."""
    last = [text.rstrip().splitlines()[-1] for kind, text in CELLS[name] if kind == "code"]
    shown = [line for line in last if re.match(r"^(data|table|study\.\w+\(.*\)|trained)\b", line)]
    assert [line for line in shown if "=" not in line] == []
    assert not any(".tail()" in text or ".style" in text.replace("plots.style", "")
                   for kind, text in CELLS[name] if kind == "code")  # fmt: skip
    assert not any("could have failed" in text for _, text in CELLS[name])


@pytest.mark.parametrize("name", [*NOTEBOOKS, "benchmarks", "scaling"])
def test_figure_comparison_verdict_words(name):
    """Oracle: the order of the calls that show each."""
    code = "\n".join(text for kind, text in CELLS[name] if kind == "code")
    calls = ("export", "compare(", "conclude(", "close(")
    places = [code.index(f"notebook.{call}") for call in calls]
    assert places == sorted(places)
    assert code.rstrip().splitlines()[-1].startswith("notebook.close(")
